/** A store that is damaged is refused with words that name its folder, by whatever opens it; the process is not taken down by the system. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'
import { runCommand } from '../helper/command.js'
import { killedCopy, makeStore, PAGE, spoil } from '../helper/store.js'
import { startHub } from '../helper/process.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }

/** What has happened to the file of a store. */
const DAMAGES: [what: string, change: (bytes: Buffer) => Uint8Array][] = [
  ['a file of one byte', (bytes) => bytes.subarray(0, 1)],
  ['a file that ends within the header', (bytes) => bytes.subarray(0, 64)],
  ['a file that ends within the first page', (bytes) => bytes.subarray(0, 2_000)],
  ['a file that ends after the first page', (bytes) => bytes.subarray(0, PAGE)],
  ['a file that ends after the second page', (bytes) => bytes.subarray(0, 2 * PAGE)],
  ['a file that ends after the third page', (bytes) => bytes.subarray(0, 3 * PAGE)],
  ['the first half of a file', (bytes) => bytes.subarray(0, bytes.length / 2)],
  ['nine tenths of a file', (bytes) => bytes.subarray(0, Math.floor(bytes.length * 0.9))],
  ['a text', () => Buffer.from('these are not the bytes you are looking for\n'.repeat(500))],
  ['random bytes', (bytes) => randomBytes(bytes.length)],
  ['zeroes', (bytes) => bytes.fill(0)],
  ['random bytes behind the first page', (bytes) => Buffer.concat([bytes.subarray(0, PAGE), randomBytes(bytes.length - PAGE)])],
  ['random bytes behind the second page', (bytes) => Buffer.concat([bytes.subarray(0, 2 * PAGE), randomBytes(bytes.length - 2 * PAGE)])],
  ['zeroes behind the second page', (bytes) => bytes.fill(0, 2 * PAGE)],
]

/** On a busy machine it takes longer than a test file usually may. */
t.setTimeout(300_000)

await t.test('is refused', async (t) => {
  const folder = `${t.testdir({})}/store`
  await makeStore(folder, 2_000)
  for (const [n, [what, change]] of DAMAGES.entries()) {
    await t.test(what, async (t) => {
      const copy = killedCopy(folder)
      spoil(copy, change)
      await refuses(t, 'inspect', [], copy)
      if (n % 3 === 0) await refuses(t, 'start', [], copy) // it opens a store in the same way, and takes longer to start
    })
  }
})

await t.test('a page that has been wiped is never taken for events that are not there', async (t) => {
  const folder = `${t.testdir({})}/store`
  const events = 60
  await makeStore(folder, events)
  // In a process of its own: LMDB ends it when some pages make no sense, which at least is not silent.
  const script = `
    import { FileLog } from ${JSON.stringify(new URL('../../dist/log/file.js', import.meta.url).href)}
    import { Selection } from ${JSON.stringify(new URL('../../dist/hub/selection.js', import.meta.url).href)}
    const log = await FileLog.open({ folder: process.argv[1], durability: 'commit', retention: ${JSON.stringify(RETENTION)} }).catch((err) => err)
    if (log instanceof Error) console.log(JSON.stringify({ refused: log.name + ': ' + log.message }))
    else {
      const page = await log.read(new Selection(['**']), { after: 0, events: 1e6 }).catch((err) => err)
      console.log(JSON.stringify(page instanceof Error ? { failed: page.message } : { events: page.events.length, gap: page.gap }))
    }
    process.exit()`
  const silent: string[] = []
  const unnamed: string[] = []
  const ended: string[] = []
  for (let page = 2; page < statSync(`${folder}/data.mdb`).size / PAGE; page++) {
    const copy = killedCopy(folder)
    spoil(copy, (bytes) => bytes.fill(0, page * PAGE, (page + 1) * PAGE))
    const { stdout, signal } = spawnSync(...bareNode(['--input-type=module', '-e', script, copy]), { encoding: 'utf8' })
    const line = stdout.split('\n').find((line) => line.startsWith('{'))
    const said = JSON.parse(line ?? '{}') as { refused?: string; failed?: string; events?: number; gap?: boolean }
    if (signal) ended.push(`page ${page}: ${signal}`)
    else if (said.refused !== undefined && !(said.refused.startsWith('StoreError') && said.refused.includes(copy))) unnamed.push(`page ${page}: ${said.refused}`)
    else if (said.events !== undefined && said.events < events && said.gap !== true) silent.push(`page ${page}: ${said.events} of ${events} events`)
  }
  t.strictSame(silent, [], 'nothing is missing silently')
  t.strictSame(unnamed, [], 'what is refused is refused with words that name the folder')
  t.comment(`ended by LMDB: ${ended.join(', ') || 'none'}`)
})

await t.test('an empty file is no log for those who only read, and a new one for a hub', async (t) => {
  const folder = `${t.testdir({})}/store`
  await makeStore(folder, 1)
  spoil(folder, (bytes) => bytes.subarray(0, 0))
  await refuses(t, 'inspect', [], folder)
  await refuses(t, 'backup', [`${folder}-backup`], folder)
  const started = await startHub(t, { FANFARE_LOG: `file:${folder}` }).catch((err: unknown) => (err as Error).message)
  if (typeof started === 'string') t.ok(/ended before it listened \(1\)/.test(started) && started.includes(folder), started)
  else t.equal(await started.stop(), 0)
})

async function refuses(t: Test, command: string, args: string[], folder: string): Promise<void> {
  const isStart = command === 'start'
  const outcome = await runCommand(t, isStart ? [command] : [command, folder, ...args], isStart ? { env: { FANFARE_LOG: `file:${folder}` } } : {})
  const { code, signal, stderr } = outcome
  t.strictSame({ code, signal }, { code: 1, signal: null }, `${command} ends with 1`)
  t.ok(stderr.includes(folder), `${command} names the folder: ${stderr.slice(0, 500)}`)
  t.notMatch(stderr, /^\s+at /m, 'without a stack trace')
}
