/** The contract of logs outside the repository: the log and the test of docs/logs.md, with the package and Node. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { logContract } from '../../src/log/contract/log-contract.js'
import { installPackage, ROOT } from '../helper/installed-package.js'

const run = promisify(execFile)
const [, log, test] = /## Test it\n.*?```js\n(.*?)```\n.*?```js\n(.*?)```\n/s.exec(
  readFileSync(join(ROOT, 'docs/logs.md'), 'utf8'),
)!

interface Ended {
  code: number
  stdout: string
}

/** Runs `node --test` in a folder, without the settings of this test. */
async function nodeTest(folder: string): Promise<Ended> {
  const args = ['--test', '--test-reporter=spec']
  try {
    const { stdout } = await run(process.execPath, args, { cwd: folder, env: { PATH: process.env['PATH'] } })
    return { code: 0, stdout }
  } catch (err) {
    return err as Ended
  }
}

await t.test('the test of the docs runs with the package and Node alone', { timeout: 280_000 }, async (t) => {
  const folder = await installPackage(t, { 'my-log.mjs': log!, 'my-log.test.mjs': test! })
  const passed = await nodeTest(folder)
  t.equal(passed.code, 0, passed.stdout)
  const { length } = logContract({ open: () => Promise.reject(new Error('never called')) })
  t.match(passed.stdout, new RegExp(`tests ${length}\\n.*pass ${length}\\n.*fail 0\\n`, 's'))

  const whole = 'return await super.append(events, options)'
  t.ok(log!.includes(whole))
  writeFileSync(
    join(folder, 'my-log.mjs'),
    log!.replace(whole, 'return await super.append(events.slice(0, 5), options)'),
  )
  const failed = await nodeTest(folder)
  t.equal(failed.code, 1)
  t.match(failed.stdout, /✖ a read sees a batch whole or not at all/)
  t.notMatch(failed.stdout, /✖ records are stored by key/)
})
