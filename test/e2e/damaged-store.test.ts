/**
 * Everything that opens a damaged store refuses it with a message that names its folder. The process does not crash.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'
import { runCommand } from '../helper/command.js'
import { random } from '../helper/random.js'
import { killedCopy, makeMixedStore, makeStore, PAGE, spoil, usedBytes } from '../helper/store.js'
import { startHub } from '../helper/process.js'

/** The number of copies of a store in which bytes are changed. */
const FLIPS = 60
const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }

/** The ways to damage the file of a store. */
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
  [
    'random bytes after the first page',
    (bytes) => Buffer.concat([bytes.subarray(0, PAGE), randomBytes(bytes.length - PAGE)]),
  ],
  [
    'random bytes after the second page',
    (bytes) => Buffer.concat([bytes.subarray(0, 2 * PAGE), randomBytes(bytes.length - 2 * PAGE)]),
  ],
  ['zeroes after the second page', (bytes) => bytes.fill(0, 2 * PAGE)],
]

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

await t.test('a damaged store is refused', async (t) => {
  const folder = `${t.testdir({})}/store`
  await makeStore(folder, 2_000)
  const used = usedBytes(folder)
  for (const [n, [what, change]] of DAMAGES.entries()) {
    await t.test(what, async (t) => {
      const copy = killedCopy(folder)
      spoil(copy, (bytes) => change(bytes.subarray(0, used)))
      await refuses(t, 'inspect', [], copy)
      // the hub opens a store in the same way, and takes longer to start
      if (n % 3 === 0) await refuses(t, 'start', [], copy)
    })
  }
})

await t.test('a wiped page never hides events without a gap', async (t) => {
  const folder = `${t.testdir({})}/store`
  const events = 60
  await makeStore(folder, events)
  // In a separate process, since LMDB ends the process if some pages are invalid.
  const script = `
    import { FileLog } from ${JSON.stringify(new URL('../../dist/log/lmdb/lmdb-log.js', import.meta.url).href)}
    import { Selection } from ${JSON.stringify(new URL('../../dist/model/selection.js', import.meta.url).href)}
    import { readPage } from ${JSON.stringify(new URL('../../dist/log/page.js', import.meta.url).href)}
    const log = await FileLog.open({ folder: process.argv[1], durability: 'commit', retention: ${JSON.stringify(RETENTION)} }).catch((err) => err)
    if (log instanceof Error) console.log(JSON.stringify({ refused: log.name + ': ' + log.message }))
    else {
      const page = await readPage(log, new Selection(['**']), { after: 0, events: 1e6 }).catch((err) => err)
      console.log(JSON.stringify(page instanceof Error ? { failed: page.message } : { events: page.events.length, gap: page.trimmedAt !== undefined }))
    }
    process.exit()`
  const silent: string[] = []
  const unnamed: string[] = []
  const ended: string[] = []
  for (let page = 2; page < usedBytes(folder) / PAGE; page++) {
    const copy = killedCopy(folder)
    spoil(copy, (bytes) => bytes.fill(0, page * PAGE, (page + 1) * PAGE))
    const { stdout, signal } = spawnSync(...bareNode(['--input-type=module', '-e', script, copy]), { encoding: 'utf8' })
    const line = stdout.split('\n').find((line) => line.startsWith('{'))
    const said = JSON.parse(line ?? '{}') as { refused?: string; failed?: string; events?: number; gap?: boolean }
    if (signal) ended.push(`page ${page}: ${signal}`)
    else if (said.refused !== undefined && !(said.refused.startsWith('StoreError') && said.refused.includes(copy)))
      unnamed.push(`page ${page}: ${said.refused}`)
    else if (said.events !== undefined && said.events < events && said.gap !== true)
      silent.push(`page ${page}: ${said.events} of ${events} events`)
  }
  t.strictSame(silent, [], 'no event is missing without a gap')
  t.strictSame(unnamed, [], 'every refusal names the folder')
  t.comment(`ended by LMDB: ${ended.join(', ') || 'none'}`)
})

await t.test('changed bytes are refused, reported as a gap, or have no effect', async (t) => {
  const folder = `${t.testdir({})}/store`
  const topics = 7
  const count = 3_000
  const expected = await makeMixedStore(folder, topics, count)
  const { size } = statSync(`${folder}/data.mdb`)
  const used = usedBytes(folder)
  const script = `
    import { FileLog } from ${JSON.stringify(new URL('../../dist/log/lmdb/lmdb-log.js', import.meta.url).href)}
    import { Selection } from ${JSON.stringify(new URL('../../dist/model/selection.js', import.meta.url).href)}
    import { readPage } from ${JSON.stringify(new URL('../../dist/log/page.js', import.meta.url).href)}
    const damages = []
    const options = { folder: process.argv[1], durability: 'commit', retention: ${JSON.stringify(RETENTION)}, onDamage: (what) => damages.push(what) }
    const log = await FileLog.open(options).catch((err) => err)
    const say = (what) => process.stdout.write(JSON.stringify(what) + '\\n', () => process.exit())
    if (log instanceof Error) say({ refused: log.name + ': ' + log.message })
    else {
      const reads = []
      for (const patterns of [['**'], ...Array.from({ length: ${topics} }, (_, n) => ['t.' + n]), ['t.1', 't.2']]) {
        const selection = new Selection(patterns)
        const events = []
        let gap = false
        let failed
        for (let after = 0, more = true; more; ) {
          const page = await readPage(log, selection, { after, events: 1_000 }).catch((err) => err)
          if (page instanceof Error) { failed = page.stack; break }
          for (const { sequence, topic, type, id, attributes, time, kind, payload } of page.events)
            events.push([sequence, topic, type ?? null, id ?? null, attributes ?? null, time, kind, payload.length, payload.slice(0, 20)])
          gap ||= page.trimmedAt !== undefined
          after = page.position
          more = page.more
        }
        reads.push({ patterns, events, gap, failed })
      }
      say({ reads, damages })
    }`
  interface Said {
    refused?: string
    reads?: { patterns: string[]; events: unknown[][]; gap: boolean; failed?: string }[]
    damages?: string[]
  }
  const draw = random(20_260)
  const outcomes = { refused: 0, 'a gap': 0, 'no matter': 0, 'ended by LMDB': 0 }
  const faults: string[] = []
  for (let round = 0; round < FLIPS; round++) {
    const copy = killedCopy(folder)
    const at = Array.from({ length: 1 + draw.below(4) }, () => draw.below(used))
    spoil(copy, (bytes) => {
      for (const offset of at) bytes[offset]! ^= 1 << draw.below(8)
      return bytes
    })
    const { stdout, stderr, signal, status } = spawnSync(...bareNode(['--input-type=module', '-e', script, copy]), {
      encoding: 'utf8',
      maxBuffer: 1e9,
      timeout: 60_000,
    })
    rmSync(copy, { recursive: true })
    const where = `round ${round}, bytes ${at.join(', ')}`
    const line = stdout.split('\n').find((line) => line.startsWith('{'))
    if (signal !== null && line === undefined) {
      outcomes['ended by LMDB']++ // a page that LMDB did not write
      continue
    }
    const said = JSON.parse(line ?? '{}') as Said
    if (said.refused !== undefined) {
      outcomes.refused++
      if (!said.refused.startsWith('StoreError') || !said.refused.includes(copy))
        faults.push(`${where}: refused with ${said.refused}`)
      continue
    }
    if (!said.reads) {
      faults.push(`${where}: exit code ${status}: ${stderr.slice(0, 500)}`)
      continue
    }
    let hasGap = false
    for (const { patterns, events, gap, failed } of said.reads) {
      const due = expected.filter(([, topic]) => patterns[0] === '**' || patterns.includes(topic as string))
      if (failed !== undefined) faults.push(`${where}: ${patterns.join()}: ${failed}`)
      const wrong = events.find((event) => !isDeepStrictEqual(event, expected[(event[0] as number) - 1]))
      if (wrong) faults.push(`${where}: ${patterns.join()}: wrong data: ${JSON.stringify(wrong)}`)
      if (events.some(([, topic]) => patterns[0] !== '**' && !patterns.includes(topic as string)))
        faults.push(`${where}: ${patterns.join()}: an event of another topic`)
      if (events.length < due.length && !gap)
        faults.push(`${where}: ${patterns.join()}: ${due.length - events.length} events are missing without a gap`)
      hasGap ||= gap
    }
    outcomes[hasGap ? 'a gap' : 'no matter']++
    if (hasGap && said.damages!.length === 0) faults.push(`${where}: a gap without a line in the log`)
  }
  t.strictSame(faults, [])
  t.comment(`${JSON.stringify(outcomes)} of ${FLIPS}, a file of ${used} bytes used, ${size} in all`)
  t.ok(outcomes['a gap'] > 0 && outcomes['no matter'] > 0)
})

await t.test('an empty file is refused by a reader, and becomes a new log in a hub', async (t) => {
  const folder = `${t.testdir({})}/store`
  await makeStore(folder, 1)
  spoil(folder, (bytes) => bytes.subarray(0, 0))
  await refuses(t, 'inspect', [], folder)
  await refuses(t, 'backup', [`${folder}-backup`], folder)
  const started = await startHub(t, { FANFARE_LOG: `file:${folder}` }).catch((err: unknown) => (err as Error).message)
  if (typeof started === 'string')
    t.ok(/ended before it listened \(1\)/.test(started) && started.includes(folder), started)
  else t.equal(await started.stop(), 0)
})

async function refuses(t: Test, command: string, args: string[], folder: string): Promise<void> {
  const isStart = command === 'start'
  const outcome = await runCommand(
    t,
    isStart ? [command] : [command, folder, ...args],
    isStart ? { env: { FANFARE_LOG: `file:${folder}` } } : {},
  )
  const { code, signal, stderr } = outcome
  t.strictSame({ code, signal }, { code: 1, signal: null }, `${command} exits with 1`)
  t.ok(stderr.includes(folder), `${command} names the folder: ${stderr.slice(0, 500)}`)
  t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
}
