/** The log in a folder: the contract, and the promises of a log that outlives its process. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { open } from 'lmdb'
import t, { type Test } from 'tap'
import { Selection } from '../../../src/model/selection.js'
import { FairScheduler } from '../../../src/event-loop/fair-scheduler.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { StoreError } from '../../../src/log/lmdb/store-error.js'
import type { Durability } from '../../../src/log/durability.js'
import { openForReading } from '../../../src/log/lmdb/store.js'
import type { EventLog, Retention } from '../../../src/log/log.js'
import { event } from '../../../src/log/contract/events.js'
import { testLog } from '../../contract/log.js'
import { bareNode } from '../../helper/bare-node.js'
import { poll, within } from '../../helper/deadline.js'
import { publish } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { killedCopy } from '../../helper/store.js'
import { anyTopic } from '../../helper/token.js'
import { locateNewest, readFrom } from '../../helper/log.js'

const KEEP_ALL: Retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
const EVERYTHING = new Selection(['**'])
const DURABILITIES: Durability[] = ['sync', 'commit']

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

for (const durability of DURABILITIES) await testFileLog(t, durability)

/** Runs the contract with a folder for each log. */
async function testFileLog(t: Test, durability: Durability): Promise<void> {
  const folders = new Map<EventLog, string>()
  const root = t.testdir({ [durability]: {} })
  let count = 0

  async function start(folder: string, retention: Retention, now: () => number, elapsed = now): Promise<EventLog> {
    const log = await FileLog.open({ folder, durability, retention, now, elapsed })
    folders.set(log, folder)
    return log
  }

  await testLog(t, `the file log (${durability})`, {
    open: (retention, clock, elapsed) => start(`${root}/${durability}/${++count}`, retention, clock, elapsed),
    reopen: async (log, retention, clock, elapsed) => {
      await log.close()
      return start(folders.get(log)!, retention, clock, elapsed)
    },
  })
}

interface Opening {
  durability?: Durability
  retention?: Partial<Retention>
  now?: () => number
}

/** Opens the log in a folder, and closes it at the end of the test. */
async function openLog(
  t: Test,
  folder: string,
  { durability = 'commit', retention = {}, now = Date.now }: Opening = {},
): Promise<FileLog> {
  const log = await FileLog.open({ folder, durability, retention: { ...KEEP_ALL, ...retention }, now })
  t.teardown(() => log.close())
  return log
}

/** Blocks the event loop for a time, in milliseconds. */
function hold(time: number): void {
  const end = performance.now() + time
  while (performance.now() < end);
}

/** Returns the error of a call that must fail. */
async function refusal(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('the call was not refused')
    },
    (err: unknown) => err as Error,
  )
}

async function refusesToOpen(t: Test, folder: string, words: RegExp): Promise<void> {
  const err = await refusal(FileLog.open({ folder, durability: 'sync', retention: KEEP_ALL }))
  t.ok(err instanceof StoreError, `${err.name}: ${err.message}`)
  t.match(err.message, words)
  t.ok(err.message.includes(folder), 'the error names the folder')
}

await t.test('opened again after a kill', async (t) => {
  for (const durability of DURABILITIES) {
    await t.test(`(${durability}) every acknowledged event is stored, and no sequence is reused`, async (t) => {
      const clock = { now: 1_700_000_000_000 }
      const options: Opening = {
        durability,
        retention: { events: 3, age: 60_000, dedupWindow: 90_000 },
        now: () => clock.now,
      }
      const folder = t.testdir({})
      const log = await openLog(t, folder, options)
      await log.append([event('emptied', { id: 'gone' })])
      clock.now += 70_000
      await log.append([
        event('a', { id: '1', type: 'x' }),
        event('b'),
        event('a'),
        event('a'),
        event('a', { id: '5' }),
      ])
      await log.records.put('cursor/u/phone', 'somewhere')
      await log.records.put('cursor/u/old', 'elsewhere')
      await log.records.delete('cursor/u/old')
      await poll(
        async () => (log.view.stats().events === 4 ? true : undefined),
        () => `nothing is trimmed: ${JSON.stringify(log.view.stats())}`,
      )
      await log.append([event('b', { payload: 'last' })])

      const again = await openLog(t, killedCopy(folder), options)
      t.equal(again.view.epoch, log.view.epoch)
      t.equal(again.view.head, 7)
      t.strictSame(again.view.stats(), log.view.stats())
      t.strictSame(
        await readAll(again),
        { ...(await readAll(log)), trimmedAt: 0 },
        'a duplicate of an event that was trimmed before the log was opened',
      )
      t.strictSame(await again.records.list(''), [{ key: 'cursor/u/phone', value: 'somewhere' }])
      for (const [topic, after, gap] of [
        ['emptied', 0, true],
        ['emptied', 1, false],
        ['a', 1, true],
        ['a', 2, false],
        ['b', 0, false],
        ['*', 1, true],
        ['*', 2, false],
        ['never', 0, false],
      ] as const) {
        t.equal((await readAll(again, topic, after)).gap, gap, `a gap of ${topic} after ${after}`)
      }
      const answers = await again.append([
        event('emptied', { id: 'gone' }),
        event('a', { id: '1' }),
        event('a', { id: '5' }),
        event('a'),
      ])
      t.strictSame(
        answers.map(({ sequence, duplicate }) => [sequence, duplicate]),
        [
          [1, true],
          [2, true],
          [6, true],
          [8, false],
        ],
      )
    })
  }

  await t.test('publisher ids are removed when their window ends, including ids from before the kill', async (t) => {
    const clock = { now: 1_700_000_000_000 }
    const options: Opening = { retention: { events: 1, dedupWindow: 10_000 }, now: () => clock.now }
    const folder = t.testdir({})
    const log = await openLog(t, folder, options)
    for (let n = 0; n < 50; n++) await log.append([event('a', { id: String(n) })])
    await poll(
      async () => (log.view.stats().events === 1 ? true : undefined),
      () => 'nothing is trimmed',
    )
    const copy = killedCopy(folder)
    clock.now += 20_000
    const again = await openLog(t, copy, options)
    const ids = () => {
      const tables = openForReading(copy)
      const count = [...tables.ids.getKeys()].length + [...tables.orphanIds.getKeys()].length
      void tables.close()
      return count
    }
    await poll(
      async () => (ids() === 1 ? true : undefined),
      () => `one event is retained, and ${ids()} publisher ids`,
    )
    t.match(await again.append([event('a', { id: '3' })]), [{ sequence: 51, duplicate: false }])
  })
})

await t.test('the epoch', async (t) => {
  /** Closes a store, or kills its process, and simulates a restart of the machine. */
  async function epochs(
    t: Test,
    durability: Durability,
    how: 'closed' | 'killed',
    reboot: boolean,
  ): Promise<[before: string, after: string]> {
    const folder = t.testdir({ [`${durability}-${how}-${reboot}`]: {} })
    let store = `${folder}/${durability}-${how}-${reboot}`
    const log = await openLog(t, store, { durability })
    await log.append([event('a')])
    if (how === 'killed') store = killedCopy(store)
    else await log.close()
    if (reboot) {
      const root = open({ path: store, noSubdir: false })
      const meta = root.openDB<Record<string, unknown>, string>({ name: 'meta' })
      await meta.put('session', { ...meta.get('session'), bootId: 'of another start' })
      await root.close()
    }
    return [log.view.epoch, (await openLog(t, store, { durability })).view.epoch]
  }

  for (const [durability, how, reboot] of [
    ['sync', 'closed', false],
    ['sync', 'killed', false],
    ['sync', 'killed', true],
    ['commit', 'closed', true],
    ['commit', 'killed', false],
  ] as const) {
    const [before, after] = await epochs(t, durability, how, reboot)
    t.equal(after, before, `stays when ${durability} was ${how}${reboot ? ' and the machine was restarted' : ''}`)
  }
  const [before, after] = await epochs(t, 'commit', 'killed', true)
  t.not(
    after,
    before,
    'is new when commit was killed and the machine was restarted: acknowledged events may be missing',
  )
})

await t.test('a folder belongs to one process', async (t) => {
  await t.test('a second log in this process is refused', async (t) => {
    const folder = t.testdir({})
    const log = await openLog(t, folder)
    await refusesToOpen(t, folder, /in use by this process/)
    t.match(await log.append([event('a')]), [{ sequence: 1 }], 'the first log still works')
    await log.close()
    t.equal((await openLog(t, folder)).view.head, 1, 'the folder is free once the first log is closed')
  })

  await t.test('a log of another process is refused, until it is killed', async (t) => {
    const folder = t.testdir({})
    const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
    const { id } = await publish(hub, 'a', { data: 1 }, anyTopic())
    await refusesToOpen(t, folder, new RegExp(`in use by another process \\(pid ${hub.pid}\\)`))
    hub.signal('SIGSTOP')
    await refusesToOpen(t, folder, /in use by another process/)
    hub.signal('SIGCONT')
    await publish(hub, 'a', { data: 2 }, anyTopic())
    await hub.kill()
    const log = await openLog(t, folder)
    t.equal(`${log.view.epoch}-${log.view.head}`, id.replace(/1$/, '2'), 'the folder is free after the kill')
    const joined = await startHub(t, { FANFARE_LOG: `file:${folder}` })
    await publish(joined, 'a', { data: 3 }, anyTopic())
    t.equal(log.view.head, Number(id.split('-')[1]) + 2, 'a hub joins the log')
  })

  await t.test('only one of several logs that open at once after a kill succeeds', async (t) => {
    const root = t.testdir({})
    const hub = await startHub(t, { FANFARE_LOG: `file:${root}/killed` })
    await hub.kill()
    await (await openLog(t, `${root}/closed`)).close()
    const holding = await openLog(t, `${root}/held`)
    const folders = [
      `${root}/killed`,
      `${root}/closed`,
      ...Array.from({ length: 6 }, () => killedCopy(`${root}/held`)),
      `${root}/new`,
    ]
    await holding.close()
    for (const folder of folders) {
      const answers = await Promise.allSettled(
        Array.from({ length: 6 }, () => FileLog.open({ folder, durability: 'commit', retention: KEEP_ALL })),
      )
      const opened = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      t.equal(opened.length, 1, `${opened.length} logs have opened the folder`)
      for (const answer of answers)
        if (answer.status === 'rejected') t.match(answer.reason, { name: 'StoreError', message: /in use/ })
      await Promise.all(opened.map((log) => log.append([event('a')]).then(() => log.close())))
    }
  })

  await t.test('only one of several hubs that start at once after a kill leads', async (t) => {
    const folder = t.testdir({})
    for (let round = 0; round < 2; round++) {
      const hubs = await Promise.all(Array.from({ length: 2 }, () => startHub(t, { FANFARE_LOG: `file:${folder}` })))
      t.equal(hubs.filter((hub) => hub.logs().some(({ role }) => role === 'leader')).length, 1)
      for (const hub of hubs) await publish(hub, 'a', { data: round }, anyTopic())
      await Promise.all(hubs.map((hub) => hub.kill()))
    }
    const left = readdirSync(folder).filter((name) => name.endsWith('.sock'))
    t.ok(left.length <= 3, `the sockets of killed owners are removed: ${left.length} are left`)
  })

  await t.test('the path of the folder may be longer than the maximum for a socket', async (t) => {
    const folder = `${t.testdir({})}/${'long/'.repeat(40)}`
    await openLog(t, folder)
    await refusesToOpen(t, folder, /in use/)
  })
})

await t.test('a lock file of LMDB that cannot be opened is refused', async (t) => {
  await refusesToOpen(t, t.testdir({ 'lock.mdb': {} }), /cannot be used for the log/)
})

await t.test('a store that cannot be read is refused', async (t) => {
  /** Creates a store with another format. */
  async function storeOf(t: Test, format: number): Promise<string> {
    const folder = t.testdir({})
    const log = await openLog(t, folder)
    await log.append([event('a')])
    await log.close()
    const root = open({ path: folder, noSubdir: false })
    await root.openDB({ name: 'meta' }).put('format', format)
    await root.close()
    return folder
  }

  await t.test('of a newer format', async (t) => {
    await refusesToOpen(t, await storeOf(t, 3), /format 3.* knows 2/)
  })

  await t.test('of format 1, which was never released', async (t) => {
    const folder = await storeOf(t, 1)
    const before = readFileSync(`${folder}/data.mdb`)
    const words =
      /The log in .* has format 1, which no release of Fanfare has written: this version reads format 2 only\. Move the folder away to begin with an empty log\./
    await refusesToOpen(t, folder, words)
    t.throws(() => openForReading(folder), { name: 'StoreError', message: words })
    t.ok(readFileSync(`${folder}/data.mdb`).equals(before), 'the file is unchanged')
  })
})

await t.test('events that are trimmed during a read are no damage', async (t) => {
  const damages: string[] = []
  const log = await FileLog.open({
    folder: t.testdir({}),
    durability: 'commit',
    retention: { ...KEEP_ALL, events: 1_000 },
    onDamage: (what) => void damages.push(what),
  })
  t.teardown(() => log.close())
  const append = (count: number) => log.append(Array.from({ length: count }, () => event('a')))
  await append(1_000)
  let read = 0
  const scanning = log.scan(new Selection(['a']), { after: 0, until: 1_000 }, () => {
    // the scan pauses often, in the middle of the sequences that it has fetched
    if (++read % 16 === 0) for (const end = performance.now() + 3; performance.now() < end;);
    return true
  })
  const scanned = scanning.then(() => true)
  while (!(await Promise.race([scanned, turn(false)]))) await append(50)
  t.ok(read < 1_000, `${1_000 - read} events were trimmed before they were read`)
  t.type((await scanning).trimmedAt, 'number')
  t.strictSame(damages, [])
})

await t.test('a request that fails does not affect others of the same transaction', async (t) => {
  for (const durability of DURABILITIES) {
    const log = await openLog(t, t.testdir({ [durability]: {} }), { durability })
    const [record, appended] = await Promise.allSettled([
      log.records.put(`cursor/${'x'.repeat(5_000)}/a`, 1),
      log.append([event('a')]),
    ])
    t.match(appended, { status: 'fulfilled' }, `${durability}: an append, beside a record with a key that is too long`)
    t.ok(record.status === 'fulfilled' || (record.reason as Error).message.length > 0)
    t.equal(log.view.failure, undefined, 'no failure of the disk is reported')
    await log.close()
  }
})

await t.test('a gap is never missed while events are being trimmed', async (t) => {
  for (const durability of DURABILITIES) {
    const log = await openLog(t, t.testdir({ [durability]: {} }), { durability, retention: { events: 5 } })
    const only = new Selection(['a'])
    const missed: string[] = []
    let isOver = false
    let seed = 1
    async function read(): Promise<number> {
      let reads = 0
      for (; !isOver; reads++) {
        await turn()
        seed = (seed * 48_271) % 2_147_483_647
        hold(seed % 5) // a transaction may end meanwhile, which this process does not know yet
        const { head } = log.view
        const after = Math.max(0, head - 1 - (seed % 12))
        const { events, gap } = await readFrom(log, only, { after, until: head, events: 1_000 })
        if (events.length < head - after && !gap) missed.push(`${events.length} of ${head - after} after ${after}`)
        if (events.length === head - after && gap) missed.push(`a gap after ${after}, without missing events`)
      }
      return reads
    }
    const reading = read()
    for (let n = 0; n < 400; n++) {
      await log.append(Array.from({ length: 1 + (n % 3) }, () => event('a')))
      await turn()
    }
    isOver = true
    t.comment(`${durability}: ${await reading} reads`)
    t.strictSame(missed.slice(0, 3), [], durability)
    await log.close()
  }
})

await t.test(
  'a store that is closed is flushed',
  { skip: spawnSync('strace', ['-V']).error !== undefined && 'strace is not installed' },
  async (t) => {
    for (const durability of DURABILITIES) {
      const folder = t.testdir({ [durability]: {} })
      const script = `
      import { FileLog } from ${JSON.stringify(new URL('../../../dist/log/lmdb/lmdb-log.js', import.meta.url).href)}
      const log = await FileLog.open({ folder: process.argv[1], durability: process.argv[2], retention: ${JSON.stringify(KEEP_ALL)} })
      await log.append([{ topic: 'a', kind: 'text', payload: 'x' }])
      await log.close()`
      const { stderr, status } = spawnSync(
        'strace',
        [
          '-f',
          '-y',
          '-e',
          'trace=openat,pwrite64,pwritev,fsync,fdatasync',
          ...bareNode(['--input-type=module', '-e', script, `${folder}/${durability}`, durability]).flat(),
        ],
        { encoding: 'utf8' },
      )
      if (status !== 0) throw new Error(stderr.slice(-2_000))
      const calls = stderr.split('\n').filter((line) => line.includes('data.mdb'))
      const written = calls.findLastIndex((line) => /pwrite/.test(line))
      const isDirect = new RegExp(
        `openat\\(.*data\\.mdb", .*O_DSYNC.* = ${/pwrite\w+\((\d+)</.exec(calls[written]!)?.[1] ?? '-'}\\b`,
      )
      const isFlushed =
        calls.slice(written).some((line) => /f(data)?sync\(/.test(line)) || calls.some((line) => isDirect.test(line))
      t.ok(isFlushed, `${durability}: every write to the store is flushed before the store is closed`)
    }
  },
)

await t.test('the cost of operations', async (t) => {
  let taken = 0
  function* counting<T>(items: Iterable<T>): Generator<T> {
    for (const item of items) {
      taken++
      yield item
    }
  }
  /** Counts the rows that are read from a table. */
  function counted<T extends object>(table: T): T {
    return new Proxy(table, {
      get(target, property) {
        const value = Reflect.get(target, property, target) as unknown
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          const answer = Reflect.apply(value, target, args) as unknown
          if (property === 'openDB') return counted(answer as object)
          if (property === 'getRange' || property === 'getKeys') return counting(answer as Iterable<unknown>)
          if (property === 'get') taken++
          return answer
        }
      },
    })
  }
  const store = await t.mockImport<typeof import('../../../src/log/lmdb/store.js')>('../../../src/log/lmdb/store.js', {
    lmdb: { open: (options: Parameters<typeof open>[0]) => counted(open(options)) },
  })
  const mocked = await t.mockImport<typeof import('../../../src/log/lmdb/lmdb-log.js')>(
    '../../../src/log/lmdb/lmdb-log.js',
    { '../../../src/log/lmdb/store.js': store },
  )
  /** Opens a log, and counts its reads from then on. */
  async function openCounted(t: Test, folder: string, retention = KEEP_ALL): Promise<EventLog> {
    taken = 0
    const log = await mocked.FileLog.open({ folder, durability: 'commit', retention })
    t.teardown(() => log.close())
    return log
  }

  const EVENTS = 200_000
  const folder = t.testdir({})
  const log = await openLog(t, folder, { retention: { events: 1_000_000 } })
  await log.append(Array.from({ length: 5 }, (_, n) => event('quiet.early', { payload: String(n) })))
  for (let n = 0; n < EVENTS; n += 2_000) {
    await log.append(Array.from({ length: 2_000 }, (_, m) => event(`busy.${(n + m) % 40}`, { payload: String(n + m) })))
    await turn()
  }
  await log.append(Array.from({ length: 5 }, (_, n) => event('quiet.late', { payload: String(n), type: 'rare' })))
  const { head } = log.view
  await log.close()

  await t.test('starting does not read events', async (t) => {
    const log = await openCounted(t, killedCopy(folder))
    t.match(log.view.stats(), { events: EVENTS + 10, topics: 42 })
    t.ok(
      taken > 0 && taken < 10_000,
      `${taken} rows of ${EVENTS} events in 42 topics are read: those that are not indexed yet`,
    )
    await log.close()
  })

  const measured = await openCounted(t, folder, { ...KEEP_ALL, events: 1_000_000 })

  for (const [what, patterns, after, events] of [
    ['a quiet topic', ['quiet.late'], 0, 5],
    ['a quiet topic, from long ago', ['quiet.early'], 0, 5],
    ['a quiet topic without new events', ['quiet.early'], 5, 0],
    ['a pattern of quiet topics', ['quiet.*'], 0, 10],
    ['several topics', ['quiet.early', 'quiet.late', 'nobody'], 3, 7],
    ['a busy topic, near the head', ['busy.7'], head - 100, 2],
    ['everything, near the head', ['**'], head - 20, 20],
    ['a busy topic, a page', ['busy.7'], 0, 1_000],
  ] as const) {
    await t.test(`the cost of resuming ${what} depends on the result only`, async (t) => {
      const before = taken
      const page = await readFrom(measured, new Selection(patterns), { after, events: 1_000 })
      t.equal(page.events.length, events)
      t.ok(taken - before <= 4 * events + 200, `${taken - before} rows are read for ${events} events`)
    })
  }

  await t.test('the cost of finding the newest events depends on the result only', async (t) => {
    for (const [patterns, events] of [
      [['quiet.late'], 3],
      [['quiet.*'], 8],
      [['**'], 10],
      [['busy.*'], 100],
    ] as const) {
      const before = taken
      const start = await locateNewest(measured, new Selection(patterns), events)
      t.ok(
        taken - before <= 4 * events + 200,
        `${taken - before} rows for the newest ${events} of ${patterns.join(' ')}`,
      )
      t.equal(
        (await readFrom(measured, new Selection(patterns), { after: start, events: 1_000 })).events.length,
        events,
      )
    }
  })

  await t.test('a page is short if few events have the requested type', async (t) => {
    const selection = new Selection(['**'], ['rare'])
    const found: string[] = []
    let after = 0
    for (let more = true; more;) {
      const before = taken
      const page = await readFrom(measured, selection, { after, events: 1_000 })
      t.ok(taken - before < 100_000, 'the page does not read the whole log')
      found.push(...page.events.map(({ topic }) => topic))
      after = page.position
      more = page.more
    }
    t.equal(after, head)
    t.strictSame(found, Array(5).fill('quiet.late'))
  })
  await measured.close()

  for (const durability of DURABILITIES) {
    await t.test(`large trims run in small steps (${durability})`, async (t) => {
      const copy = killedCopy(folder)
      const log = await openLog(t, copy, { durability, retention: { events: 4_000 } })
      let largest = 0
      for (let before = log.view.stats().events; before > 4_000 * 40 + 10;) {
        await turn()
        const { events } = log.view.stats()
        largest = Math.max(largest, before - events)
        before = events
      }
      t.ok(largest <= 2_000, `at most ${largest} events are trimmed in one turn of the event loop`)
      await log.close()
    })
  }
})

await t.test('the file stops growing', async (t) => {
  interface Load {
    /** Returns the length of the n-th event, in characters. */
    size: (n: number) => number
    retention: Partial<Retention>
    events: number
  }

  /** Returns the size of the file, in megabytes, after each quarter of a constant load. */
  async function sizes(
    t: Test,
    folder: string,
    { size, retention, events }: Load,
    between: (quarter: number) => Promise<void> = async () => undefined,
  ): Promise<number[]> {
    const clock = { now: 1_700_000_000_000 }
    const log = await openLog(t, folder, { retention, now: () => clock.now })
    const megabytes: number[] = []
    for (let n = 0; n < events; n += 100) {
      clock.now += 100
      await log.append(
        Array.from({ length: 100 }, (_, m) =>
          event(`t.${(n + m) % 20}`, { payload: 'x'.repeat(size(n + m)), id: String(n + m) }),
        ),
      )
      if (n % 1_000 === 0) await turn()
      if ((n + 100) % (events / 4) === 0) {
        megabytes.push(statSync(`${folder}/data.mdb`).size / 1e6)
        await between(megabytes.length)
      }
    }
    await log.close()
    return megabytes
  }

  function plateaus(t: Test, [quarter, ...rest]: number[], what: string): void {
    const ahead = 2 // the minimum extension of the file
    t.ok(
      rest.every((size) => size <= quarter! * 1.3 + ahead),
      `${what}: ${[quarter!, ...rest].map((size) => size.toFixed(1)).join(', ')} MB`,
    )
  }

  await t.test('under a constant load of small events', async (t) => {
    plateaus(
      t,
      await sizes(t, t.testdir({}), {
        size: () => 40,
        retention: { events: 1_000, dedupWindow: 10_000 },
        events: 200_000,
      }),
      '20 topics of 1,000 events',
    )
  })

  await t.test('under a constant load of events of all sizes', async (t) => {
    const size = (n: number): number => [10, 300, 5_000, 40, 30_000][(n * 7_919) % 5]! + ((n * 104_729) % 1_000)
    plateaus(
      t,
      await sizes(t, t.testdir({}), { size, retention: { bytes: 10e6, dedupWindow: 1_000 }, events: 20_000 }),
      '10 MB of events',
    )
  })

  await t.test('after a process with an open snapshot was killed', async (t) => {
    const folder = t.testdir({})
    const script = `
      import { openForReading } from ${JSON.stringify(new URL('../../../dist/log/lmdb/store.js', import.meta.url).href)}
      const { root, events } = openForReading(process.argv[1])
      events.get(1, { transaction: root.useReadTransaction() })
      process.kill(process.pid, 'SIGKILL')`
    const killReader = async (quarter: number): Promise<void> => {
      if (quarter !== 1) return
      const { pid, signal, stderr } = spawnSync(...bareNode(['--input-type=module', '-e', script, folder]), {
        encoding: 'utf8',
      })
      if (signal !== 'SIGKILL') throw new Error(stderr)
      const { root } = openForReading(folder)
      await poll(
        async () => (root.readerList().includes(String(pid)) ? undefined : true),
        () => 'the snapshot of the killed process is not released',
      )
      await root.close()
    }
    plateaus(
      t,
      await sizes(
        t,
        folder,
        { size: () => 40, retention: { events: 100, dedupWindow: 0 }, events: 60_000 },
        killReader,
      ),
      '20 topics of 100 events',
    )
  })
})

await t.test('an event may be so large that LMDB returns it in place, without a copy', async (t) => {
  const log = await openLog(t, t.testdir({}))
  const payload = 'é'.repeat(9 * 1024 * 1024)
  await log.append([event('a', { payload }), event('a', { payload: 'small' })])
  const { events } = await readFrom(log, EVERYTHING, { after: 0, events: 9 })
  t.equal(events[0]!.payload === payload, true)
  t.equal(events[1]!.payload, 'small')
})

await t.test('reads that wait for a transaction do not all run in one turn of the event loop', async (t) => {
  const log = await openLog(t, t.testdir({}), { durability: 'sync' })
  await log.append(Array.from({ length: 100 }, () => event('a')))
  let reads = 0
  let most = 0
  let immediate = setImmediate(function turnIsOver() {
    most = Math.max(most, reads)
    reads = 0
    immediate = setImmediate(turnIsOver)
  })
  const over = new AbortController()
  const publishing = (async () => {
    while (!over.signal.aborted) await log.append([event('b')])
  })()
  const turns = new FairScheduler()
  const a = new Selection(['a'])
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      for (let round = 0; round < 20; round++) {
        await turns.next()
        await log.scan(a, { after: 0 }, () => {
          reads++
          for (const end = performance.now() + 1; performance.now() < end;); // parsing the event takes 1 ms
          return false
        })
      }
    }),
  )
  over.abort()
  await publishing
  clearImmediate(immediate)
  t.ok(most < 30, `${most} reads in one turn`)
})

await t.test('publisher ids are remembered even if the trim marks of their topics are dropped', async (t) => {
  const clock = { now: 1_700_000_000_000 }
  const folder = t.testdir({})
  const options: Opening = { retention: { bytes: 100_000, dedupWindow: 600_000 }, now: () => clock.now }
  const log = await openLog(t, folder, options)
  await log.append([event('pay.1', { id: 'order-1' })])
  for (let n = 0; n < 120_000; n += 2_000) {
    await log.append(Array.from({ length: 2_000 }, (_, m) => event(`t.${n + m}`)))
    await turn()
  }
  const never = new Selection(['never'])
  await poll(
    async () => ((await readFrom(log, never, { after: 0, events: 1 })).gap ? true : undefined),
    () => 'the trim marks of all topics are kept',
  )
  t.equal(await log.topic('pay.1'), undefined)
  clock.now += 599_000
  t.strictSame(await log.append([event('pay.1', { id: 'order-1' })]), [{ sequence: 1, duplicate: true }])
  await log.close()
  const again = await openLog(t, folder, options)
  t.strictSame(
    await again.append([event('pay.1', { id: 'order-1' })]),
    [{ sequence: 1, duplicate: true }],
    'also after the log is opened again',
  )
  clock.now += 1_001
  t.match(await again.append([event('pay.1', { id: 'order-1' })]), [{ duplicate: false }])
})

await t.test(
  'publisher ids of trimmed events take at most half of the retained bytes, and displace no events',
  async (t) => {
    const clock = { now: 1_700_000_000_000 }
    const folder = t.testdir({})
    const bytes = 4 * 1024 * 1024
    const log = await openLog(t, folder, { retention: { bytes, dedupWindow: 600_000 }, now: () => clock.now })
    await log.append([event('quiet')])
    let refused: unknown
    let stored = 0
    for (let n = 0; n < 200 && refused === undefined; n++) {
      await log
        .append(Array.from({ length: 1_000 }, (_, m) => event(`a.${m % 20}`, { id: `${n}-${m}`.padEnd(100, 'x') })))
        .then(
          () => (stored += 1_000),
          (err: unknown) => (refused = err),
        )
      await turn()
    }
    t.match(refused, { code: 'too-many-ids', index: 0 })
    t.ok(stored > 10_000, `after ${stored}`)
    t.ok(log.view.stats().events > 1_000, `${log.view.stats().events} events are retained`)
    t.match(await log.append([event('a.0')]), [{ duplicate: false }], 'an event without an id is accepted')
    t.match(
      await log.append([event('a.1', { id: `${Math.floor((stored - 1) / 1_000)}-1`.padEnd(100, 'x') })]),
      [{ duplicate: true }],
      'a duplicate needs no room',
    )
    const { size } = statSync(`${folder}/data.mdb`)
    t.ok(size <= 2 * bytes + 32 * 1024 * 1024, `${size} bytes`)
    clock.now += 600_001
    await poll(
      async () =>
        log.append([event('a.0', { id: 'new' })]).then(
          () => true,
          () => undefined,
        ),
      () => 'the ids are still remembered',
    )
  },
)

await t.test('an idle log indexes the events of any number of topics, step by step', async (t) => {
  const folder = t.testdir({})
  const ticks: (() => void)[] = []
  const { setInterval: start } = globalThis
  globalThis.setInterval = ((tick: () => void) => (ticks.push(tick), start(() => undefined, 1e9))) as typeof setInterval
  let log: FileLog
  try {
    log = await openLog(t, folder, { durability: 'sync' })
  } finally {
    globalThis.setInterval = start
  }
  await log.append(Array.from({ length: 3_500 }, (_, n) => event(`t.${n}`)))
  const store = openForReading(folder)
  t.teardown(() => store.close())
  const isIndexed = async () => {
    store.root.resetReadTxn()
    return [...store.index.getKeys()].length === 3_500 ? true : undefined
  }
  t.equal(await isIndexed(), undefined)
  for (const tick of ticks) tick()
  await poll(isIndexed, () => 'the events are not indexed')
})

await t.test('close may be called twice, and later calls are refused', async (t) => {
  const log = await openLog(t, t.testdir({}))
  await Promise.all([log.close(), log.close()])
  t.match(await refusal(log.append([event('a')])), { name: 'HubError', code: 'log-unavailable' })
  t.match(await refusal(log.records.put('a', 1)), { code: 'log-unavailable' })
  await within(log.close(), () => 'the log does not close')
})

async function readAll(log: EventLog, pattern = '**', after = 0) {
  return readFrom(log, pattern === '**' ? EVERYTHING : new Selection([pattern]), { after, events: 1_000_000 })
}
