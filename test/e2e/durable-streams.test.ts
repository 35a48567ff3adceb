/** The conformance suite of the Durable Streams protocol passes against a hub, with a token for each request. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { within } from '../helper/deadline.js'
import { startHub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'

const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const CONFIG = fileURLToPath(new URL('durable-streams/vitest.config.ts', import.meta.url))
/** The optional part of the protocol that the hub does not have: its sections 6 and 7. */
const OPTIONAL = 'Reserved subscription APIs'
/** The number of cases of version 0.3.6. */
const CASES = 332
/** The time limit of the suite, in milliseconds. Alone on a machine it takes less than half a minute. */
const LIMIT = 240_000

interface Report {
  testResults: {
    assertionResults: { fullName: string; status: string; ancestorTitles: string[]; failureMessages: string[] }[]
  }[]
}

await t.test('the hub passes the conformance suite', { timeout: LIMIT }, async (t) => {
  const folder = t.testdir()
  const report = join(folder, 'report.json')
  const hub = await startHub(t, {
    FANFARE_LOG: `file:${join(folder, 'data')}`,
    FANFARE_LONG_POLL: '1s',
    FANFARE_CORS_ORIGINS: '*',
  })
  const suite = spawn(
    process.execPath,
    [VITEST, 'run', '--config', CONFIG, '--reporter=json', `--outputFile=${report}`],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HUB_URL: hub.url, HUB_TOKEN: anyTopic(), LONG_POLL: '1000' },
    },
  )
  t.teardown(() => suite.kill())
  let output = ''
  for (const stream of [suite.stdout, suite.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  await within(new Promise((resolve) => suite.once('close', resolve)), () => output, LIMIT)

  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report
  const cases = testResults.flatMap(({ assertionResults }) => assertionResults)
  for (const { fullName, status, failureMessages } of cases)
    if (status === 'failed') t.fail(fullName, { failureMessages: failureMessages.map((text) => text.slice(0, 1_000)) })
  const skipped = cases.filter(({ status }) => status !== 'passed' && status !== 'failed')
  t.ok(skipped.every(({ ancestorTitles }) => ancestorTitles.includes(OPTIONAL)))
  t.ok(cases.length - skipped.length >= CASES, `${cases.length - skipped.length} cases\n${output}`)
  t.notMatch(hub.output(), /"level":50/, 'the hub logged no errors')
})
