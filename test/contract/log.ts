/**
 * The contract of logs: tests the promises of `src/log/log.ts`, and no property of a single kind of log. A log may trim
 * in the background, so the tests wait for trims.
 */
import { deepStrictEqual as same } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import type { Test } from 'tap'
import type { NewEvent, StoredEvent } from '../../src/model/event.js'
import { payloadOf } from '../../src/model/payload.js'
import { Selection } from '../../src/model/selection.js'
import { readPage } from '../../src/log/page.js'
import { FollowedView } from '../../src/log/followed-view.js'
import type { EventLog, LogDelta, ReadOptions, RecordChange, Retention, Trim } from '../../src/log/log.js'
import { GapSearch } from '../../src/log/trim-marks.js'
import { locateNewest, locateTime, readFrom, type PageRead } from '../helper/log.js'
import { anyAttributes } from '../hub/any-event.js'

/**
 * Opens a new, empty log. The suite closes it.
 * @param clock the wall clock
 * @param elapsed the monotonic clock; default: it follows the wall clock
 */
export type OpenLog = (retention: Retention, clock: () => number, elapsed?: () => number) => Promise<EventLog>

/** Closes a log and opens its stored data again, for logs that outlive a process. */
export type ReopenLog = (
  log: EventLog,
  retention: Retention,
  clock: () => number,
  elapsed?: () => number,
) => Promise<EventLog>

/**
 * The promises that a log cannot keep, each with the reason. The suite skips or relaxes the tests of these promises.
 */
export interface LogLimits {
  /** The server of the log stamps and trims events by a clock that no test can set. */
  clock?: string
  /** The log remembers publisher ids for the window only, even those of retained events. */
  ids?: string
}

/** The time limit for a condition, in milliseconds. */
const DEADLINE = 10_000

const KEEP_ALL: Retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
const EVERYTHING = new Selection(['**'])

/** Runs the suite. `open` is called for each test. */
export async function testLog(
  t: Test,
  name: string,
  open: OpenLog,
  reopen?: ReopenLog,
  limits: LogLimits = {},
): Promise<void> {
  /** The options of a test that sets the clock. */
  const setsClock = { skip: limits.clock ?? false }

  /** Opens a log with a clock that only the test moves. */
  async function start(t: Test, retention: Partial<Retention> = {}) {
    const clock = { now: 1_700_000_000_000 }
    const log = await open({ ...KEEP_ALL, ...retention }, () => clock.now)
    t.teardown(() => log.close())
    return { log, clock }
  }

  await t.test(name, async (t) => {
    await t.test('a new log is empty and has an epoch of its own', async (t) => {
      const { log } = await start(t)
      const { log: other } = await start(t)
      t.match(log.view.epoch, /^[a-z0-9]{8}$/)
      t.not(log.view.epoch, other.view.epoch)
      t.equal(log.view.head, 0)
      t.strictSame(await readAll(log), { events: [], position: 0, more: false, gap: false, trimmedAt: undefined })
      t.match(log.view.stats(), { topics: 0, events: 0, bytes: 0 })
    })

    await t.test('sequences are consecutive, in the order of the batch', async (t) => {
      const { log } = await start(t)
      t.strictSame(await log.append([event('a'), event('b'), event('a')]), [stored(1), stored(2), stored(3)])
      t.equal(log.view.head, 3)
      t.strictSame(await log.append([event('b')]), [stored(4)])
      t.equal(log.view.head, 4)
      t.strictSame(sequences(await readAll(log)), [1, 2, 3, 4])
    })

    await t.test('concurrent appends each get consecutive sequences', async (t) => {
      const { log } = await start(t)
      const batches = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          log.append(Array.from({ length: 1 + (n % 5) }, (_, m) => event(`t.${m}`, { payload: `${n}/${m}` }))),
        ),
      )
      for (const batch of batches)
        t.strictSame(
          batch.map(({ sequence }) => sequence),
          range(batch[0]!.sequence, batch.length),
        )
      const { events } = await readAll(log)
      t.strictSame(
        events.map(({ sequence }) => sequence),
        range(1, batches.flat().length),
      )
      batches.forEach((batch, n) =>
        batch.forEach(({ sequence }, m) => t.equal(events[sequence - 1]?.payload, `${n}/${m}`)),
      )
    })

    await t.test('a read sees a batch whole or not at all', async (t) => {
      const { log } = await start(t)
      const seen: Promise<number>[] = []
      for (let n = 0; n < 20; n++) {
        const appends = [log.append(manyEvents(7)), log.append(manyEvents(7))]
        for (let look = 0; look < 5; look++) {
          seen.push(readAll(log).then(({ events }) => events.length))
          await delay(0)
        }
        await Promise.all(appends)
      }
      t.strictSame(
        (await Promise.all(seen)).filter((count) => count % 7 !== 0),
        [],
      )
    })

    await t.test('a read returns the appended events unchanged', async (t) => {
      await t.resolves(
        fc.assert(
          fc.asyncProperty(fc.array(anyEvent(), { minLength: 1, maxLength: 8 }), async (events) => {
            const clock = { now: 1_650_000_000_123 }
            const log = await open(KEEP_ALL, () => clock.now)
            try {
              const told: StoredEvent[] = []
              await log.follow(({ events }) => void told.push(...events))
              await log.append(events)
              const times = limits.clock === undefined ? [] : told.map(({ time }) => time)
              const expected = events.map((event, index) => ({
                ...event,
                sequence: index + 1,
                time: times[index] ?? clock.now,
              }))
              same((await readAll(log)).events.map(plain), expected.map(plain))
              same((await scanAll(log)).map(plain), expected.map(plain))
              same(told.map(plain), expected.map(plain))
            } finally {
              await log.close()
            }
          }),
          { numRuns: 50 },
        ),
      )
    })

    await t.test('followers get every event, in order, exactly once, before append resolves', async (t) => {
      const { log } = await start(t)
      const told: number[][] = [[], []]
      for (const list of told) await log.follow(({ events }) => void list.push(...sequences({ events })))
      const check = async (append: Promise<{ sequence: number }[]>) => {
        const last = (await append).at(-1)!.sequence
        for (const list of told) t.ok(list.includes(last), `the follower got ${last} before append resolved`)
      }
      await Promise.all(Array.from({ length: 50 }, (_, n) => check(log.append(manyEvents(1 + (n % 3))))))
      for (const list of told) t.strictSame(list, range(1, log.view.head))
    })

    await t.test('an event that a follower gets can be read', async (t) => {
      const { log } = await start(t)
      const reads: Promise<void>[] = []
      await log.follow(({ events }) => {
        const { sequence } = events.at(-1)!
        t.ok(log.view.head >= sequence)
        reads.push(readAll(log).then(({ events }) => void t.ok(events.some((event) => event.sequence === sequence))))
      })
      for (let n = 0; n < 5; n++) await log.append(manyEvents(2))
      await Promise.all(reads)
      t.ok(reads.length > 0)
    })

    await t.test('a follower that appends does not change the order for the others', async (t) => {
      const { log } = await start(t)
      const told: number[] = []
      const answers: Promise<unknown>[] = []
      await log.follow(({ events: [first] }) => {
        if (first?.topic === 'question') answers.push(log.append([event('answer')]))
      })
      await log.follow(({ events }) => void told.push(...sequences({ events })))
      await log.append([event('question')])
      await Promise.all(answers)
      t.strictSame(told, [1, 2])
    })

    await t.test('a follower gets no event from before it began or after it has stopped', async (t) => {
      const { log } = await start(t)
      const told: number[] = []
      await log.append([event('a')])
      const following = await log.follow(({ events }) => void told.push(...sequences({ events })))
      t.match(following, { head: 1, mark: 0 })
      await log.append([event('a')])
      following.stop()
      await log.append([event('a')])
      t.strictSame(told, [2])
    })

    await t.test('a follower may stop during a delta', async (t) => {
      const { log } = await start(t)
      const told: string[] = []
      const first = await log.follow(() => {
        told.push('first')
        first.stop()
      })
      await log.follow(() => void told.push('second'))
      await log.append([event('a')])
      await log.append([event('a')])
      t.strictSame(told, ['first', 'second', 'second'])
    })

    await t.test('a follower gets each trim once, and each trim raises the mark', setsClock, async (t) => {
      const { log, clock } = await start(t, { age: 10_000, events: 3 })
      const told: (string | undefined)[] = []
      const trims: Trim[] = []
      const { mark } = await log.follow((delta) => {
        told.push(...delta.events.map(({ topic }) => topic))
        trims.push(...delta.trims)
        t.ok(delta.events.length + delta.trims.length + delta.records.length > 0, 'a delta is never empty')
        t.equal(log.view.mark, mark + trims.length)
      })
      t.equal(mark, 0)
      await log.append([event('a'), event('b')])
      t.strictSame(trims, [])
      await log.purge('a')
      t.strictSame(trims, [{ topic: 'a', until: 1 }], 'the follower got the trim before purge resolved')
      await log.append(manyEvents(5, 'c'))
      await until(async () => log.view.stats().events === 4)
      t.strictSame(trims.at(-1), { topic: 'c', until: 4 })
      clock.now += 20_000
      await until(async () => log.view.stats().events === 0) // by age alone
      t.strictSame(
        new Map(trims.map(({ topic, until }) => [topic, until])),
        new Map(Object.entries({ a: 1, b: 2, c: 7 })),
      )
      t.strictSame(told, ['a', 'b', 'c', 'c', 'c', 'c', 'c'])
    })

    await t.test('a view that follows the deltas knows the same gaps as the log', async (t) => {
      await t.resolves(
        fc.assert(
          fc.asyncProperty(anyChanges(), fc.array(fc.tuple(anySelection(), fc.nat(60)), { minLength: 5 }), checkView),
          { numRuns: 40 },
        ),
      )

      async function checkView(changes: AnyChange[], questions: [Selection, number][]): Promise<void> {
        const clock = { now: 1 }
        const log = await open({ ...KEEP_ALL, events: 4, bytes: 20_000, age: 1_000 }, () => clock.now)
        try {
          const deltas: LogDelta[] = []
          const following = await log.follow((delta) => void deltas.push(delta))
          const source = { epoch: log.view.epoch, failure: () => log.view.failure, stats: () => log.view.stats() }
          const view = new FollowedView(source, following)
          for (const change of changes) {
            clock.now += 200
            await (typeof change === 'string' ? log.purge(change) : log.append(change))
            await delay(0)
          }
          for (const [selection, after] of questions) {
            const begin = Math.min(after, log.view.head)
            const { trimmedAt, mark } = await log.scan(selection, { after: begin, until: begin }, () => true)
            for (const delta of deltas.splice(0)) view.apply(delta)
            if (mark !== view.mark) continue // another trim happened after the answer
            const gaps = new GapSearch(view, selection)
            for (const step of gaps.begin(begin)) same(step, undefined)
            same(gaps.result(begin, false), { position: begin, more: false, trimmedAt, mark })
          }
          same({ head: view.head, mark: view.mark }, { head: log.view.head, mark: log.view.mark })
        } finally {
          await log.close()
        }
      }
    })

    await t.test('publisher ids', async (t) => {
      await t.test(
        'an id is stored once per topic, and a duplicate gets the sequence of the first event',
        async (t) => {
          const { log } = await start(t)
          const told: number[] = []
          await log.follow(({ events }) => void told.push(...sequences({ events })))
          t.strictSame(await log.append([event('a', { id: 'x', payload: 'first' })]), [stored(1)])
          t.strictSame(
            await log.append([event('b', { id: 'x' })]),
            [stored(2)],
            'the same id in another topic is not a duplicate',
          )
          t.strictSame(await log.append([event('a', { id: 'x', payload: 'second' })]), [duplicate(1)])
          t.strictSame(await log.append([event('a', { id: 'X' })]), [stored(3)], 'another id is not a duplicate')
          t.equal(log.view.head, 3)
          t.strictSame(told, [1, 2, 3], 'followers get no duplicates')
          t.strictSame(
            (await readAll(log)).events.map(({ payload }) => payload),
            ['first', 'b', 'a'],
          )
        },
      )

      await t.test('an id is stored once within a batch, and the others stay consecutive', async (t) => {
        const { log } = await start(t)
        const ids = ['x', 'y', 'x', undefined, 'y', 'z', undefined]
        const appended = await log.append(ids.map((id) => event('a', { id })))
        // `strictSame` ignores the holes of an array, and the copy has none
        t.strictSame(Array.from(appended), [
          stored(1),
          stored(2),
          duplicate(1),
          stored(3),
          duplicate(2),
          stored(4),
          stored(5),
        ])
        t.strictSame(sequences(await readAll(log)), [1, 2, 3, 4, 5])
      })

      await t.test('an id is stored once by concurrent appends', async (t) => {
        const { log } = await start(t)
        const answers = (
          await Promise.all(Array.from({ length: 20 }, () => log.append([event('a', { id: 'x' })])))
        ).flat()
        t.strictSame(
          answers.filter((answer) => !answer.duplicate),
          [stored(1)],
        )
        t.ok(answers.every(({ sequence }) => sequence === 1))
        t.equal(log.view.head, 1)
      })

      await t.test('a batch of duplicates stores nothing', async (t) => {
        const { log } = await start(t)
        await log.append([event('a', { id: 'x' })])
        let told = 0
        await log.follow(({ events }) => void (told += events.length))
        t.strictSame(await log.append([event('a', { id: 'x' }), event('a', { id: 'x' })]), [duplicate(1), duplicate(1)])
        t.equal(told, 0)
        t.equal(log.view.head, 1)
      })

      await t.test('an id is remembered as long as its event is retained', { skip: limits.ids ?? false }, async (t) => {
        const { log, clock } = await start(t, { dedupWindow: 1_000 })
        await log.append([event('a', { id: 'x' })])
        clock.now += 1e9
        await log.append(manyEvents(3))
        t.strictSame(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
      })

      await t.test('an id is remembered within the window even if its event is trimmed', setsClock, async (t) => {
        const { log, clock } = await start(t, { events: 2, dedupWindow: 10_000 })
        await log.append([event('a', { id: 'x' })])
        clock.now += 5_000
        await log.append([event('a'), event('a', { id: 'y' }), event('a')])
        await until(async () => (await readAll(log)).gap)
        clock.now += 4_999
        t.strictSame(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
        t.strictSame(await log.append([event('a', { id: 'y' })]), [duplicate(3)])
      })

      await t.test('an id is forgotten once its event is trimmed and the window is over', setsClock, async (t) => {
        const { log, clock } = await start(t, { events: 2, dedupWindow: 10_000 })
        await log.append([event('a', { id: 'x' }), event('a'), event('a')])
        await until(async () => !sequences(await readAll(log)).includes(1))
        clock.now += 20_001
        t.strictSame(await log.append([event('a', { id: 'x' })]), [stored(4)])
        t.strictSame(await log.append([event('a', { id: 'x' })]), [duplicate(4)], "the new event's id is remembered")
      })
    })

    await t.test('reading', async (t) => {
      await t.test('selects by topic, several topics, pattern and type', async (t) => {
        const { log } = await start(t)
        await log.append([
          event('a.1', { type: 'x' }),
          event('a.2'),
          event('b.1', { type: 'y' }),
          event('a.1.z', { type: 'x' }),
          event('a.1', { type: 'y' }),
          event('a.2', { type: 'x' }),
        ])
        const read = async (patterns: string[], types: string[] = []) =>
          sequences(await readAll(log, new Selection(patterns, types)))
        t.strictSame(await read(['a.1']), [1, 5])
        t.strictSame(await read(['nobody']), [])
        t.strictSame(await read(['a.1', 'b.1']), [1, 3, 5])
        t.strictSame(await read(['a.*']), [1, 2, 5, 6])
        t.strictSame(await read(['a.**']), [1, 2, 4, 5, 6])
        t.strictSame(
          await read(['*.1', 'a.1', '**']),
          [1, 2, 3, 4, 5, 6],
          'each event once, even if several patterns match',
        )
        t.strictSame(await read(['**'], ['x']), [1, 4, 6])
        t.strictSame(await read(['a.*'], ['x', 'y']), [1, 5, 6])
        t.strictSame(await read(['**'], ['X']), [])
      })

      await t.test('agrees with a simple model, page after page', async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(anyAppends(), anyReads(), async (batches, reads) => {
              const log = await open(KEEP_ALL, () => 1)
              try {
                for (const batch of batches) await log.append(batch)
                const all = batches.flat().map((event, index) => ({ ...event, sequence: index + 1 }))
                for (const read of reads) await checkRead(log, all, read)
              } finally {
                await log.close()
              }
            }),
            { numRuns: 60 },
          ),
        )
      })

      await t.test('a page ends at its maximum number of events, and says whether more follow', async (t) => {
        const { log } = await start(t)
        await log.append([event('a'), event('b'), event('a'), event('b'), event('a')])
        const a = new Selection(['a'])
        t.match(await readFrom(log, a, { after: 0, events: 2 }), {
          events: [{ sequence: 1 }, { sequence: 3 }],
          more: true,
          gap: false,
        })
        t.match(await readFrom(log, a, { after: 3, events: 2 }), {
          events: [{ sequence: 5 }],
          position: 5,
          more: false,
        })
        t.match(
          await readFrom(log, a, { after: 0, events: 3 }),
          { position: 5, more: false },
          'the full last page has no more',
        )
        t.match(
          await readFrom(log, a, { after: 0, until: 4, events: 2 }),
          { position: 4, more: false },
          'a full page that ends at `until` has no more',
        )
        t.match(
          await readFrom(log, new Selection(['b']), { after: 0, events: 10 }),
          { position: 5, more: false },
          'the page covers everything up to the head',
        )
        t.match(await readFrom(log, a, { after: 5, events: 10 }), { events: [], position: 5, more: false })
      })

      await t.test('a page ends at its maximum number of bytes, and has at least one event', async (t) => {
        const { log } = await start(t)
        await log.append(['1234', '1234', '1234', '12345678'].map((payload) => event('a', { payload })))
        const read = async (after: number, bytes: number) => readFrom(log, EVERYTHING, { after, events: 100, bytes })
        t.match(await read(0, 1), { events: { length: 1 }, more: true })
        t.match(await read(0, 4), { events: { length: 1 }, more: true })
        t.match(await read(0, 5), { events: { length: 2 }, more: true })
        t.match(await read(0, 20), { events: { length: 4 }, more: false })
        t.match(await read(3, 1), { events: { length: 1 }, position: 4, more: false })
      })

      await t.test('visits the events of a page in order, until the visitor returns false', async (t) => {
        const { log } = await start(t)
        const payloads = ['plain', 'two\nlines', 'Grüße ☃ 🎉', '', 'x'.repeat(300), 'é'.repeat(70_000)]
        await log.append(
          payloads.flatMap((payload, n) => [
            event('a', { payload, type: n % 2 === 0 ? 'even' : undefined, id: `p${n}` }),
            event('b'),
          ]),
        )
        const show = async (selection: Selection, span: { after: number; until?: number }, limit = Infinity) => {
          const events: StoredEvent[] = []
          const scanned = await log.scan(
            selection,
            span,
            (event) => events.length < limit && events.push({ ...event, payload: event.payload.toString() }) > 0,
          )
          return { events, ...scanned }
        }
        for (const selection of [
          new Selection(['a']),
          EVERYTHING,
          new Selection(['*'], ['even']),
          new Selection(['nobody']),
        ]) {
          for (const span of [{ after: 0 }, { after: 3 }, { after: 2, until: 7 }, { after: 12 }]) {
            t.strictSame(await show(selection, span), await readPage(log, selection, { ...span, events: 1e9 }))
          }
        }
        t.match(await show(new Selection(['a']), { after: 0 }, 2), {
          events: [{ sequence: 1 }, { sequence: 3 }],
          more: true,
        })
        const { position } = await show(new Selection(['a']), { after: 0 }, 2)
        t.match(await show(new Selection(['a']), { after: position }), {
          events: { length: 4, 0: { sequence: 5 } },
          more: false,
        })
        t.match(await show(EVERYTHING, { after: 4 }, 0), { events: [], position: 4, more: true })
        await t.rejects(
          log.scan(EVERYTHING, { after: 0 }, () => {
            throw new Error('mine')
          }),
          { message: 'mine' },
        )
        t.match(
          await show(EVERYTHING, { after: 10 }),
          { events: [{ sequence: 11 }, { sequence: 12 }] },
          'the visitor has failed, and the log continues to work',
        )
      })

      await t.test('continues while events are appended, and misses none', async (t) => {
        const { log } = await start(t)
        await log.append(manyEvents(50))
        const read: number[] = []
        const appends: Promise<unknown>[] = []
        for (let after = 0, page: PageRead | undefined; page?.more !== false; after = page.position) {
          page = await readFrom(log, EVERYTHING, { after, events: 7 })
          read.push(...sequences(page))
          if (read.length < 100) appends.push(log.append(manyEvents(3)))
        }
        await Promise.all(appends)
        read.push(...sequences(await readFrom(log, EVERYTHING, { after: read.at(-1)!, events: 1_000 })))
        t.strictSame(read, range(1, log.view.head))
      })
    })

    await t.test('locating the newest events', async (t) => {
      await t.test('finds where the newest events of a selection begin', async (t) => {
        const { log } = await start(t)
        await log.append([event('a'), event('b', { type: 'x' }), event('a', { type: 'x' }), event('b'), event('c')])
        const newest = async (count: number, patterns: string[], types: string[] = []) => {
          const selection = new Selection(patterns, types)
          return sequences(await readAll(log, selection, await locateNewest(log, selection, count)))
        }
        t.strictSame(await newest(1, ['a']), [3])
        t.strictSame(await newest(2, ['a']), [1, 3])
        t.strictSame(await newest(3, ['a']), [1, 3])
        t.strictSame(await newest(1_000, ['nobody']), [])
        t.strictSame(await newest(3, ['a', 'b']), [2, 3, 4])
        t.strictSame(await newest(2, ['*']), [4, 5])
        t.strictSame(await newest(1, ['*'], ['x']), [3])
        t.strictSame(await newest(9, ['*'], ['x']), [2, 3])
        t.strictSame(await newest(0, ['**']), [])
        t.equal(await locateNewest(log, new Selection(['a']), 3), 0, 'fewer events than requested')
      })

      await t.test('agrees with a simple model', async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(anyAppends(), anySelection(), fc.nat(12), async (batches, selection, count) => {
              const log = await open(KEEP_ALL, () => 1)
              try {
                for (const batch of batches) await log.append(batch)
                const all = batches
                  .flat()
                  .map((event, index) => ({ ...event, sequence: index + 1 }))
                  .filter(isOf(selection))
                const expected = count === 0 ? [] : all.slice(-count).map(({ sequence }) => sequence)
                same(sequences(await readAll(log, selection, await locateNewest(log, selection, count))), expected)
              } finally {
                await log.close()
              }
            }),
            { numRuns: 50 },
          ),
        )
      })

      await t.test('counts only events up to a sequence', async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(
              anyAppends(),
              anySelection(),
              fc.nat(12),
              fc.nat(40),
              async (batches, selection, count, until) => {
                const log = await open(KEEP_ALL, () => 1)
                try {
                  for (const batch of batches) await log.append(batch)
                  const all = batches
                    .flat()
                    .map((event, index) => ({ ...event, sequence: index + 1 }))
                    .filter(isOf(selection))
                  const expected = count === 0 ? undefined : all.filter(({ sequence }) => sequence <= until).at(-count)
                  t.equal(
                    await locateNewest(log, selection, count, until),
                    count === 0 ? until : expected ? expected.sequence - 1 : 0,
                  )
                } finally {
                  await log.close()
                }
              },
            ),
            { numRuns: 50 },
          ),
        )
      })

      await t.test('leaves out trimmed events', async (t) => {
        const { log } = await start(t, { events: 3 })
        await log.append(manyEvents(10, 'a'))
        await until(async () => log.view.stats().events === 3)
        t.strictSame(sequences(await readAll(log, EVERYTHING, await locateNewest(log, EVERYTHING, 2))), [9, 10])
        t.strictSame(sequences(await readAll(log, EVERYTHING, await locateNewest(log, EVERYTHING, 7))), [8, 9, 10])
      })
    })

    await t.test('locate', async (t) => {
      /** The clock's step before each append, the number of events, and their topic. */
      const anyHistory = (min: number) =>
        fc.array(
          fc.record({
            step: fc.integer({ min, max: 50 }),
            topic: fc.constantFrom('a', 'b', 'a.b', 'b.c'),
            count: fc.integer({ min: 1, max: 40 }),
          }),
          { minLength: 1, maxLength: 12 },
        )
      interface Timed {
        sequence: number
        topic: string
        time: number
      }

      async function play(
        history: { step: number; topic: string; count: number }[],
        retention: Retention,
      ): Promise<{ log: EventLog; all: Timed[]; clock: () => number }> {
        let now = 1_000
        const log = await open(retention, () => now)
        const all: Timed[] = []
        for (const { step, topic, count } of history) {
          now = Math.max(0, now + step)
          for (const { sequence } of await log.append(manyEvents(count, topic)))
            all.push({ sequence, topic, time: now })
        }
        return { log, all, clock: () => now }
      }

      /** Checks where a time begins: exactly, if the clock never went back. */
      async function check(
        log: EventLog,
        all: readonly Timed[],
        selection: Selection,
        time: number,
        isExact: boolean,
      ): Promise<void> {
        const after = await locateTime(log, selection, time)
        const retained = new Set(sequences(await readAll(log, selection)))
        const wanted = all.filter(({ topic }) => selection.hasTopic(topic))
        for (const { sequence, time: at } of wanted) {
          const isLeftOut = at >= time && sequence <= after
          const isUnwanted = at < time && sequence > after && retained.has(sequence)
          if (retained.has(sequence) && isLeftOut)
            throw new Error(`the event ${sequence} of ${at} is missed: ${time} begins after ${after}`)
          if (isExact && (isLeftOut || isUnwanted))
            throw new Error(
              `${sequence} of ${at}, ${retained.has(sequence) ? 'retained' : 'trimmed'}: ${time} begins after ${after}`,
            )
        }
      }

      await t.test('finds where the events of a time begin, for any trims', setsClock, async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(
              anyHistory(0),
              anySelection(),
              fc.integer({ min: 900, max: 1_700 }),
              fc.constantFrom(3, 30, 1e6),
              async (history, { patterns }, time, events) => {
                const { log, all } = await play(history, { ...KEEP_ALL, events })
                try {
                  await check(log, all, new Selection(patterns), time, true)
                } finally {
                  await log.close()
                }
              },
            ),
            { numRuns: 60 },
          ),
        )
      })

      await t.test('includes every event of a time if the clock goes back', setsClock, async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(
              anyHistory(-100),
              anySelection(),
              fc.integer({ min: 0, max: 1_700 }),
              fc.constantFrom(3, 30, 1e6),
              async (history, { patterns }, time, events) => {
                const { log, all } = await play(history, { ...KEEP_ALL, events })
                try {
                  await check(log, all, new Selection(patterns), time, false)
                } finally {
                  await log.close()
                }
              },
            ),
            { numRuns: 60 },
          ),
        )
      })

      await t.test(
        'reports a gap if events of a time were trimmed before the clock went back',
        setsClock,
        async (t) => {
          const { log, clock } = await start(t, { events: 3 })
          const first = clock.now
          await log.append(manyEvents(5, 'a'))
          clock.now -= 1_000
          await log.append(manyEvents(5, 'a'))
          await until(async () => log.view.stats().events === 3)
          t.ok((await readAll(log, new Selection(['a']), await locateTime(log, new Selection(['a']), first))).gap)
        },
      )

      await t.test('considers types, and begins at the head if no event is of the time', setsClock, async (t) => {
        const { log, clock } = await start(t)
        const first = clock.now
        await log.append([event('a', { type: 'x' }), event('a', { type: 'y' })])
        clock.now += 1_000
        await log.append([event('a', { type: 'x' }), event('a', { type: 'y' })])
        t.strictSame(
          sequences(
            await readAll(
              log,
              new Selection(['a'], ['y']),
              await locateTime(log, new Selection(['a'], ['y']), first + 1),
            ),
          ),
          [4],
        )
        t.equal(await locateTime(log, EVERYTHING, clock.now + 1), log.view.head)
        t.equal(await locateTime(log, EVERYTHING, 0), 0)
      })

      if (reopen) {
        await t.test('knows the times of events from before the log was opened', setsClock, async (t) => {
          await t.resolves(
            fc.assert(
              fc.asyncProperty(
                anyHistory(0),
                anySelection(),
                fc.integer({ min: 900, max: 1_700 }),
                fc.constantFrom(3, 30, 1e6),
                async (history, { patterns }, time, events) => {
                  const retention = { ...KEEP_ALL, events }
                  const { log: closed, all, clock } = await play(history, retention)
                  const log = await reopen(closed, retention, () => clock() + 20)
                  try {
                    for (const { sequence } of await log.append(manyEvents(5, 'a')))
                      all.push({ sequence, topic: 'a', time: clock() + 20 })
                    const selection = new Selection(patterns)
                    const after = await locateTime(log, selection, time)
                    const left = all.find(
                      (timed) => selection.hasTopic(timed.topic) && timed.time >= time && timed.sequence <= after,
                    )
                    if (left)
                      throw new Error(
                        `the event ${left.sequence} of ${left.time} is missed: ${time} begins after ${after}`,
                      )
                  } finally {
                    await log.close()
                  }
                },
              ),
              { numRuns: 30 },
            ),
          )
        })
      }
    })

    await t.test('newest', async (t) => {
      await t.test('returns the newest matching event of each topic', async (t) => {
        const { log } = await start(t)
        await log.append([
          event('a', { type: 'x' }),
          event('b'),
          event('a'),
          event('c', { type: 'x' }),
          event('b', { type: 'y' }),
          event('a', { type: 'y' }),
        ])
        const newest = async (patterns: string[], types: string[] = [], options: Partial<ReadOptions> = {}) =>
          sequences(await log.newest(new Selection(patterns, types), { after: 0, events: 100, ...options }))
        t.strictSame(await newest(['a']), [6])
        t.strictSame(await newest(['*']), [4, 5, 6], 'in log order')
        t.strictSame(await newest(['nobody']), [])
        t.strictSame(await newest(['*', 'a']), [4, 5, 6], 'each event once, even if several patterns match')
        t.strictSame(await newest(['*'], ['x']), [1, 4], 'only events of the type')
        t.strictSame(await newest(['*'], ['x', 'y']), [4, 5, 6])
        t.strictSame(await newest(['*'], [], { after: 4 }), [5, 6])
        t.strictSame(await newest(['*'], ['x'], { after: 1 }), [4])
        t.strictSame(await newest(['*'], [], { until: 4 }), [2, 3, 4])
        t.strictSame(await newest(['*'], [], { after: 2, until: 3 }), [3])
        t.match(await log.newest(EVERYTHING, { after: 0, events: 2 }), {
          events: [{ sequence: 4 }, { sequence: 5 }],
          position: 5,
          more: true,
          trimmedAt: undefined,
        })
        t.match(await log.newest(EVERYTHING, { after: 5, events: 2 }), {
          events: [{ sequence: 6 }],
          position: 6,
          more: false,
        })
        t.match(
          await log.newest(new Selection(['c']), { after: 0, events: 2 }),
          { position: 6, more: false },
          'the page covers everything up to the head',
        )
      })

      await t.test('agrees with a simple model, page after page', async (t) => {
        await t.resolves(
          fc.assert(
            fc.asyncProperty(anyAppends(), anyReads(), async (batches, reads) => {
              const log = await open(KEEP_ALL, () => 1)
              try {
                for (const batch of batches) await log.append(batch)
                const all = batches.flat().map((event, index) => ({ ...event, sequence: index + 1 }))
                for (const { selection, after, until, events, bytes } of reads) {
                  const end = Math.min(until ?? log.view.head, log.view.head)
                  const newest = new Map(
                    all
                      .filter(isOf(selection))
                      .filter(({ sequence }) => sequence > after && sequence <= end)
                      .map((event) => [event.topic, event.sequence]),
                  )
                  const read: number[] = []
                  for (let position = Math.min(after, end), more = true; more;) {
                    const page = await log.newest(selection, {
                      after: position,
                      until: end,
                      events,
                      ...(bytes === undefined ? {} : { bytes }),
                    })
                    read.push(...sequences(page))
                    same(
                      page.events.length <= events &&
                        page.events.slice(0, -1).reduce((sum, { payload }) => sum + payload.length, 0) <
                          (bytes ?? Infinity),
                      true,
                    )
                    same(page.position > position || !page.more, true)
                    ;({ position, more } = page)
                    if (!more) same(position, end)
                  }
                  same(
                    read,
                    [...newest.values()].sort((a, b) => a - b),
                  )
                }
              } finally {
                await log.close()
              }
            }),
            { numRuns: 60 },
          ),
        )
      })

      await t.test('leaves out trimmed events', async (t) => {
        const { log } = await start(t, { events: 2 })
        await log.append([event('b'), ...manyEvents(10, 'a')])
        await until(async () => log.view.stats().events === 3)
        t.match(await log.newest(EVERYTHING, { after: 0, events: 9 }), {
          events: [{ sequence: 1 }, { sequence: 11 }],
          trimmedAt: Number,
        })
        t.match(await log.newest(new Selection(['b']), { after: 0, events: 9 }), { trimmedAt: undefined })
        t.match(await log.newest(EVERYTHING, { after: 9, events: 9 }), {
          events: [{ sequence: 11 }],
          trimmedAt: undefined,
        })
        t.match(
          await log.newest(EVERYTHING, { after: 0, until: 5, events: 9 }),
          { events: [{ sequence: 1 }], position: 5 },
          'trimmed events are not returned',
        )
      })

      await t.test('lets the event loop run with many topics and types', async (t) => {
        const { log } = await start(t)
        for (let n = 0; n < 20; n++)
          await log.append(
            Array.from({ length: 500 }, (_, m) => event(`t.${m}`, { type: n === 0 ? 'first' : 'other' })),
          )
        t.strictSame(
          sequences(await log.newest(new Selection(['t.*'], ['first']), { after: 0, events: 1_000 })),
          range(1, 500),
        )
        t.strictSame(
          sequences(await log.newest(new Selection(['t.*']), { after: 0, events: 1_000 })),
          range(9_501, 500),
        )
      })
    })

    await t.test('topics', async (t) => {
      await t.test('have statistics', async (t) => {
        const { log } = await start(t, { events: 3 })
        t.equal(await log.topic('a'), undefined)
        await log.append([event('a'), event('b', { payload: 'x'.repeat(5_000) }), event('a'), event('a')])
        t.match(await log.topic('a'), { topic: 'a', events: 3, first: 1, last: 4 })
        t.match(await log.topic('b'), { topic: 'b', events: 1, first: 2, last: 2 })
        t.ok((await log.topic('b'))!.bytes > 5_000)
        t.equal((await log.topic('a'))!.bytes + (await log.topic('b'))!.bytes, log.view.stats().bytes)
        await log.append([event('a'), event('a')])
        await until(async () => log.view.stats().events === 4)
        t.match(await log.topic('a'), { events: 3, first: 4, last: 6 }, 'trimmed events do not count')
        t.equal(await log.topic('nobody'), undefined)
        for (const name of ['__proto__', 'constructor', 'hasOwnProperty']) t.equal(await log.topic(name), undefined)
      })

      await t.test('are listed in pages, sorted by name', async (t) => {
        const { log } = await start(t)
        const names = ['a', 'b.1', 'B', 'b', '__proto__', 'b.2', 'constructor', '0', 'b-1', '~', 'b.1.x']
        await log.append(names.map((name) => event(name)))
        const sorted = [...names].sort()
        const list = async (prefix?: string, after?: string, limit = 100) => {
          const { topics, more } = await log.topics({ prefix, after, limit })
          for (const topic of topics) t.strictSame(topic, await log.topic(topic.topic))
          return { names: topics.map(({ topic }) => topic), more }
        }
        t.strictSame(await list(), { names: sorted, more: false })
        t.strictSame(await list('b'), { names: ['b', 'b-1', 'b.1', 'b.1.x', 'b.2'], more: false })
        t.strictSame(await list('b.1'), { names: ['b.1', 'b.1.x'], more: false })
        t.strictSame(await list('b', 'b.1'), { names: ['b.1.x', 'b.2'], more: false })
        t.strictSame(await list('b', 'a', 2), { names: ['b', 'b-1'], more: true })
        t.strictSame(await list('b', 'c'), { names: [], more: false })
        t.strictSame(await list('zwölf'), { names: [], more: false })
        for (let limit = 1; limit <= names.length + 1; limit++) {
          const read: string[] = []
          for (let page = await list('', undefined, limit); ; page = await list('', read.at(-1), limit)) {
            read.push(...page.names)
            t.equal(page.more, read.length < names.length)
            if (!page.more) break
          }
          t.strictSame(read, sorted)
        }
      })

      await t.test('are left out if they are not accepted, and then do not count as more', async (t) => {
        const { log } = await start(t)
        await log.append(['a', 'b', 'c', 'd', 'e'].map((name) => event(name)))
        const list = async (accepted: string, limit: number, after?: string) => {
          const { topics, more } = await log.topics({ limit, after }, (name) => accepted.includes(name))
          return [topics.map(({ topic }) => topic).join(''), more]
        }
        t.strictSame(await list('bd', 1), ['b', true])
        t.strictSame(await list('bd', 1, 'b'), ['d', false], 'later topics exist, but none that is accepted')
        t.strictSame(await list('', 9), ['', false])
      })

      await t.test('are listed if there are thousands', async (t) => {
        const { log } = await start(t)
        const names = Array.from({ length: 12_000 }, (_, n) => `t.${String(n).padStart(5, '0')}`)
        await log.append(names.map((name) => event(name)))
        const { topics, more } = await log.topics({ limit: 2, after: 't.00003' }, (name) => name.endsWith('999'))
        t.strictSame([topics.map(({ topic }) => topic), more], [['t.00999', 't.01999'], true])
        const last = await log.topics({ limit: 2 }, (name) => name === 't.11999')
        t.strictSame([last.topics.map(({ topic }) => topic), last.more], [['t.11999'], false])
      })
    })

    await t.test('properties of topics', async (t) => {
      const PROPERTIES = { retention: { events: 10, age: 60_000 }, contentType: 'image/png', ended: true, ttl: 5_000 }
      await t.test('are the latest stored ones of the topic', async (t) => {
        const { log } = await start(t)
        await log.setTopic('a', { ttl: 1 })
        await log.setTopic('a', PROPERTIES)
        await log.setTopic('a.b', { ended: true })
        const none = { events: 0, bytes: 0, first: 0, last: 0 }
        t.strictSame(await log.topic('a'), { topic: 'a', ...none, properties: PROPERTIES })
        t.strictSame(await log.topic('a.b'), { topic: 'a.b', ...none, properties: { ended: true } })
        t.equal(await log.topic('b'), undefined)
        t.strictSame(
          await log.topics({ limit: 9 }),
          { topics: [], more: false },
          'a topic without events is not listed',
        )
        t.match(log.view.stats(), { topics: 0, events: 0 })
        await log.append([event('a')])
        t.match(await log.topic('a'), { events: 1, first: 1, last: 1, properties: PROPERTIES })
      })

      await t.test('can be removed', async (t) => {
        const { log } = await start(t)
        await log.append([event('b')])
        await Promise.all([log.setTopic('a', PROPERTIES), log.setTopic('b', PROPERTIES)])
        await Promise.all([log.setTopic('a', undefined), log.setTopic('b', undefined)])
        await log.setTopic('never', undefined)
        t.equal(await log.topic('a'), undefined)
        t.match(await log.topic('b'), { events: 1 })
        t.notOk('properties' in (await log.topic('b'))!)
      })

      await t.test('outlast the events', async (t) => {
        const { log } = await start(t, { events: 2 })
        await log.setTopic('a', PROPERTIES)
        await log.append(manyEvents(9, 'a'))
        await until(async () => log.view.stats().events === 2)
        t.match(await log.topic('a'), { events: 2, properties: PROPERTIES })
        t.equal(await log.purge('a'), 2)
        t.match(await log.topic('a'), { events: 0, first: 0, last: 0, properties: PROPERTIES })
      })

      await t.test('are copies', async (t) => {
        const { log } = await start(t)
        const properties = { retention: { events: 1 } }
        await log.setTopic('a', properties)
        properties.retention.events = 2
        const read = (await log.topic('a'))!.properties!
        t.strictSame(read, { retention: { events: 1 } })
        read.retention!.events = 3
        t.strictSame((await log.topic('a'))!.properties, { retention: { events: 1 } })
      })
    })

    await t.test('a purge', async (t) => {
      await t.test('removes the events of a topic, and no others', async (t) => {
        const { log } = await start(t)
        await log.append([event('a'), event('b'), event('a', { type: 'x' }), event('a.b'), event('a')])
        const { mark: trims } = log.view
        t.equal(await log.purge('a'), 3)
        t.strictSame(sequences(await readAll(log)), [2, 4])
        t.match(log.view.stats(), { events: 2 })
        t.equal(await log.topic('a'), undefined)
        t.strictSame(
          (await log.topics({ limit: 9 })).topics.map(({ topic }) => topic),
          ['a.b', 'b'],
        )
        t.ok(log.view.mark > trims, 'the trim mark has grown, so earlier reads may be outdated')
        t.equal(await log.purge('a'), 0)
        t.equal(await log.purge('nobody'), 0)
        t.strictSame(await log.append([event('a')]), [stored(6)], 'sequences are not reused')
        t.match(await log.topic('a'), { events: 1, first: 6, last: 6 })
        t.equal(await log.purge('a'), 1)
        t.equal(await log.purge('b'), 1)
        t.equal(await log.purge('a.b'), 1)
        t.match(log.view.stats(), { events: 0, bytes: 0 })
      })

      await t.test('is a gap for cursors before the newest purged event, and for no others', async (t) => {
        const { log } = await start(t)
        await log.append([event('a'), event('b'), event('a'), event('b')])
        const between = log.view.mark
        await log.purge('a')
        const gap = async (patterns: string[], after: number) =>
          (await readAll(log, new Selection(patterns), after)).gap
        t.strictSame(
          [await gap(['a'], 0), await gap(['a'], 2), await gap(['a'], 3), await gap(['a'], 4)],
          [true, true, false, false],
        )
        t.strictSame(
          [await gap(['*'], 2), await gap(['*'], 3), await gap(['b'], 0), await gap(['nobody'], 0)],
          [true, false, false, false],
        )
        t.strictSame(
          [
            await hasTrimmed(log, new Selection(['a']), 0, between),
            await hasTrimmed(log, new Selection(['a']), 3, between),
          ],
          [true, false],
        )
        await log.append([event('a')])
        t.strictSame(
          [await gap(['a'], 2), await gap(['a'], 3), await gap(['a'], 5)],
          [true, false, false],
          'the gap stays when the topic is used again',
        )
      })

      await t.test('does not forget publisher ids within their window', setsClock, async (t) => {
        const { log, clock } = await start(t, { dedupWindow: 10_000 })
        await log.append([event('a', { id: 'x' }), event('a', { id: 'y' })])
        await log.purge('a')
        clock.now += 5_000
        t.strictSame(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
        clock.now += 5_001
        t.strictSame(await log.append([event('a', { id: 'x' })]), [stored(3)])
      })

      await t.test('of many events lets other appends proceed, and keeps their events', async (t) => {
        const { log } = await start(t)
        for (let n = 0; n < 5; n++) await log.append([...manyEvents(1_000, 'a'), ...manyEvents(100, 'b')])
        const until = log.view.head
        const purge = log.purge('a')
        const going = new Set([purge])
        void purge.finally(() => going.delete(purge))
        const meanwhile: number[] = []
        const seen: PageRead[] = []
        const append = async () => {
          for (; going.size > 0; await delay(0)) meanwhile.push((await log.append([event('a')]))[0]!.sequence)
        }
        const read = async () => {
          for (; going.size > 0; await delay(0))
            seen.push(await readFrom(log, new Selection(['a']), { after: 0, until, events: 1_000_000 }))
        }
        await Promise.all([append(), read()])
        t.ok(meanwhile.length > 0, 'appends resolve during the purge')
        t.equal(await purge, 5_000)
        t.strictSame(sequences(await readAll(log, new Selection(['a']))), meanwhile)
        t.equal((await readAll(log, new Selection(['b']))).events.length, 500)
        t.ok(
          seen.every(({ events, gap }) => gap === events.length < 5_000),
          'every page that lacks events has a gap',
        )
        t.match(log.view.stats(), { events: 500 + meanwhile.length })
      })

      await t.test('works for several topics at once, during trims', async (t) => {
        const { log } = await start(t, { events: 20 })
        await log.append(Array.from({ length: 300 }, (_, n) => event(`t.${n % 5}`)))
        const answers = await Promise.all([
          log.purge('t.0'),
          log.purge('t.1'),
          log.purge('t.1'),
          log.purge('t.2'),
          log.append([event('t.3')]),
        ])
        t.ok(answers.slice(0, 4).every((purged) => (purged as number) <= 60))
        await until(async () => log.view.stats().events === 40)
        t.strictSame(
          (await log.topics({ limit: 9 })).topics.map(({ topic, events }) => [topic, events]),
          [
            ['t.3', 20],
            ['t.4', 20],
          ],
        )
      })
    })

    await t.test('retention', async (t) => {
      await t.test('by count: each topic keeps its newest events', async (t) => {
        const { log } = await start(t, { events: 5 })
        await log.append([...manyEvents(2, 'quiet'), ...manyEvents(12, 'busy')])
        for (let n = 0; n < 8; n++) await log.append(manyEvents(1, 'busy'))
        await until(async () => log.view.stats().events === 7)
        t.strictSame(sequences(await readAll(log, new Selection(['busy']))), [18, 19, 20, 21, 22])
        t.strictSame(sequences(await readAll(log, new Selection(['quiet']))), [1, 2])
      })

      await t.test('by age: older events are trimmed, younger ones stay', setsClock, async (t) => {
        const { log, clock } = await start(t, { age: 10_000 })
        await log.append([event('a'), event('b')])
        clock.now += 6_000
        await log.append([event('a'), event('a')])
        clock.now += 6_000
        await until(async () => (await readAll(log)).events.length === 2)
        t.strictSame(sequences(await readAll(log)), [3, 4])
        t.match(await readAll(log, new Selection(['b'])), { events: [], gap: true })
        clock.now += 6_000
        await until(async () => (await readAll(log)).events.length === 0)
        t.equal(log.view.head, 4, 'sequences are not reused')
        t.strictSame(await log.append([event('b')]), [stored(5)])
      })

      await t.test('by bytes: the log as a whole keeps its newest events', async (t) => {
        const limit = 200_000
        const { log } = await start(t, { bytes: limit })
        const payload = 'x'.repeat(5_000)
        for (let n = 0; n < 20; n++) await log.append(Array.from({ length: 5 }, (_, m) => event(`t.${m}`, { payload })))
        await until(async () => log.view.stats().bytes <= limit)
        const kept = sequences(await readAll(log))
        t.strictSame(kept, range(101 - kept.length, kept.length), 'the newest events of all topics')
        t.ok(kept.length * payload.length >= limit / 2, `${kept.length} are retained, no fewer than necessary`)
        t.equal((await readAll(log)).gap, true)
      })

      await t.test('an event that is larger than the log is delivered and trimmed', async (t) => {
        const { log } = await start(t, { bytes: 10_000 })
        const told: number[] = []
        await log.follow(({ events }) => void told.push(...sequences({ events })))
        await log.append([event('a'), event('a', { payload: 'x'.repeat(20_000) }), event('b')])
        t.strictSame(told, [1, 2, 3])
        await until(async () => !sequences(await readAll(log)).includes(2))
        t.match(await readAll(log, new Selection(['a']), 1), { events: [], gap: true })
      })
    })

    await t.test('a changed clock', setsClock, async (t) => {
      const RIGHT = 1_700_000_000_000
      const YEAR = 365 * 86_400_000

      /** Opens a log with a wall clock that can be set while monotonic time passes. */
      async function startClocks(t: Test, retention: Partial<Retention>, now = RIGHT) {
        const clock = { now, elapsed: 5 }
        const log = await open(
          { ...KEEP_ALL, ...retention },
          () => clock.now,
          () => clock.elapsed,
        )
        t.teardown(() => log.close())
        const pass = (time: number) => {
          clock.now += time
          clock.elapsed += time
        }
        return { log, clock, pass }
      }

      for (const [name, wrong] of [
        ['ahead', YEAR],
        ['back', -YEAR],
      ] as const) {
        await t.test(`${name} and then corrected: events are trimmed at the maximum age, and no sooner`, async (t) => {
          const { log, clock, pass } = await startClocks(t, { age: 10_000 })
          await log.append([event('old')])
          pass(2_001)
          await log.append([event('a')])
          pass(4_000)
          clock.now += wrong
          await log.append([event('b')])
          pass(4_000)
          clock.now -= wrong
          await log.append([event('c')])
          t.strictSame(
            (await readAll(log)).events.map(({ sequence, time }) => [sequence, time]),
            [
              [1, RIGHT],
              [2, RIGHT + 2_001],
              [3, RIGHT + wrong + 6_001],
              [4, RIGHT + 10_001],
            ],
            'an event has the time of the wall clock',
          )
          // the trimmer removes the oldest event
          await until(async () => log.view.stats().events < 4)
          t.strictSame(sequences(await readAll(log)), [2, 3, 4])
          pass(2_001)
          await until(async () => log.view.stats().events < 3)
          t.strictSame(sequences(await readAll(log)), [3, 4])
          pass(4_000)
          await until(async () => log.view.stats().events < 2)
          t.strictSame(sequences(await readAll(log)), [4])
          pass(4_000)
          await until(async () => log.view.stats().events === 0)
        })

        await t.test(`${name} from the beginning: events are trimmed at the maximum age, and no sooner`, async (t) => {
          const { log, clock, pass } = await startClocks(t, { age: 10_000 }, RIGHT + wrong)
          await log.append([event('old')])
          pass(5_001)
          await log.append([event('a')])
          clock.now -= wrong
          pass(5_000)
          await log.append([event('b')])
          await until(async () => log.view.stats().events < 3)
          t.strictSame(sequences(await readAll(log)), [2, 3])
          pass(5_001)
          await until(async () => log.view.stats().events < 2)
          t.strictSame(sequences(await readAll(log)), [3])
          pass(5_000)
          await until(async () => log.view.stats().events === 0)
        })

        await t.test(`${name}: publisher ids are remembered for their window, and forgotten after it`, async (t) => {
          const { log, clock, pass } = await startClocks(t, { age: 8_999, dedupWindow: 10_000 })
          await log.append([event('old'), event('a', { id: 'x' })])
          t.equal(await log.purge('a'), 1)
          clock.now += wrong
          pass(4_000)
          await log.append([event('b', { id: 'x' })])
          t.equal(await log.purge('b'), 1)
          clock.now -= wrong
          pass(5_000)
          await until(async () => log.view.stats().events === 0) // the trimmer has run
          t.strictSame(await log.append([event('a', { id: 'x' }), event('b', { id: 'x' })]), [
            duplicate(2),
            duplicate(3),
          ])
          pass(1_001)
          t.strictSame(await log.append([event('a', { id: 'x' }), event('b', { id: 'x' })]), [stored(4), duplicate(3)])
          pass(4_000)
          t.strictSame(await log.append([event('b', { id: 'x' })]), [stored(5)])
        })
      }
    })

    await t.test('the maximum number of topics', async (t) => {
      const refusal = (index: number) => ({
        name: 'HubError',
        code: 'too-many-topics',
        index,
        message: /events of 2 topics, .*FANFARE_MAX_TOPICS/,
      })

      await t.test('does not apply to existing topics, and refuses the whole batch of a new topic', async (t) => {
        const { log } = await start(t, { topics: 2 })
        await t.rejects(log.append([event('a'), event('b'), event('a'), event('c'), event('d')]), refusal(3))
        t.equal(log.view.head, 0)
        await log.append([event('a', { id: 'x' }), event('b'), event('a')])
        await t.rejects(log.append([event('a'), event('c')]), refusal(1))
        t.strictSame(await log.append([event('b'), event('a')]), [stored(4), stored(5)])
        t.match(log.view.stats(), { topics: 2, events: 5 })
      })

      await t.test('is a limit for concurrent appends', async (t) => {
        const { log } = await start(t, { topics: 2 })
        const answers = await Promise.allSettled(
          Array.from({ length: 20 }, (_, n) => log.append([event(`t.${n % 5}`), event(`t.${n % 5}`)])),
        )
        t.strictSame(
          answers.map(({ status }) => status),
          answers.map((_, n) => (n % 5 < 2 ? 'fulfilled' : 'rejected')),
        )
        t.match(log.view.stats(), { topics: 2, events: 16 })
        t.strictSame((await readAll(log)).events.length, 16)
      })

      await t.test('does not count duplicates and topics without events', async (t) => {
        const { log } = await start(t, { topics: 2 })
        await log.append([event('gone', { id: 'x' }), event('a')])
        await log.purge('gone')
        await log.append([event('b')])
        t.strictSame(await log.append([event('gone', { id: 'x' }), event('a')]), [duplicate(1), stored(4)])
        await t.rejects(log.append([event('gone', { id: 'y' })]), refusal(0))
        await log.purge('a')
        t.strictSame(await log.append([event('gone', { id: 'y' })]), [stored(5)])
      })
    })

    await t.test('a gap', async (t) => {
      await t.test('is reported per topic, up to the newest trimmed event', async (t) => {
        const { log } = await start(t, { events: 2 })
        await log.append([event('a'), event('b'), event('a'), event('a'), event('c'), event('a')]) // a: 1 3 4 6
        await until(async () => log.view.stats().events === 4)
        const gap = async (patterns: string[], after: number) =>
          (await readAll(log, new Selection(patterns), after)).gap
        t.equal(await gap(['a'], 0), true)
        t.equal(await gap(['a'], 2), true)
        t.equal(await gap(['a'], 3), false, '3 is the newest trimmed event')
        t.equal(await gap(['b', 'c', 'nobody'], 0), false)
        t.equal(await gap(['b', 'a'], 0), true)
        t.equal(await gap(['*'], 1), true)
        t.equal(await gap(['*'], 3), false)
        t.equal(await gap(['*.*', 'b'], 0), false)
      })

      await t.test('is remembered for a topic without events', setsClock, async (t) => {
        const { log, clock } = await start(t, { age: 1_000, dedupWindow: 0 })
        await log.append([event('gone'), event('gone')])
        clock.now += 5_000
        await log.append([event('other')])
        await until(async () => (await readAll(log)).events.length === 1)
        t.match(await readAll(log, new Selection(['gone'])), { events: [], gap: true })
        t.match(await readAll(log, new Selection(['gone']), 1), { events: [], gap: true })
        t.match(await readAll(log, new Selection(['gone']), 2), { events: [], gap: false })
        t.match(await readAll(log, new Selection(['other'])), { gap: false })
        await log.append([event('gone')])
        t.match(
          await readAll(log, new Selection(['gone']), 1),
          { events: [{ sequence: 4 }], gap: true },
          'the gap stays when the topic is used again',
        )
        t.match(await readAll(log, new Selection(['gone']), 3), { events: [{ sequence: 4 }], gap: false })
      })

      await t.test('is never false and never missing', setsClock, async (t) => {
        const change = fc.oneof(
          { weight: 5, arbitrary: fc.record({ append: fc.array(smallEvent(), { minLength: 1, maxLength: 4 }) }) },
          { weight: 1, arbitrary: fc.record({ later: fc.integer({ min: 1, max: 900 }) }) },
        )
        const look = fc.tuple(anySelection(false), fc.double({ min: 0, max: 1, noNaN: true }))
        const limits = fc.record({
          events: fc.integer({ min: 1, max: 4 }),
          age: fc.constantFrom(500, 1e9),
          bytes: fc.constantFrom(1_000, 1e9),
          dedupWindow: fc.constantFrom(0, 1_000),
        })
        await t.resolves(
          fc.assert(
            fc.asyncProperty(
              limits,
              fc.array(fc.tuple(change, look), { minLength: 1, maxLength: 25 }),
              async (retention, steps) => {
                const clock = { now: 1_000 }
                const log = await open(retention, () => clock.now)
                const all: (NewEvent & { sequence: number })[] = []
                try {
                  for (const [change, [selection, part]] of steps) {
                    if ('later' in change) clock.now += change.later
                    else {
                      const appended = await log.append(change.append)
                      for (const [index, { sequence, duplicate }] of appended.entries())
                        if (!duplicate) all.push({ ...change.append[index]!, sequence })
                    }
                    const after = Math.round(part * log.view.head)
                    const { events, gap } = await readAll(log, selection, after)
                    const asked = all.filter(isOf(selection)).filter(({ sequence }) => sequence > after)
                    const kept = new Set(events.map(({ sequence }) => sequence))
                    same(
                      [...kept].filter((sequence) => !asked.some((event) => event.sequence === sequence)),
                      [],
                    )
                    same({ after, gap, kept }, { after, gap: asked.some(({ sequence }) => !kept.has(sequence)), kept })
                  }
                } finally {
                  await log.close()
                }
              },
            ),
            { numRuns: 80 },
          ),
        )
      })
    })

    await t.test('long work lets the event loop run', async (t) => {
      const TOPICS = 2_000
      const { log } = await start(t)
      for (let n = 0; n < 20; n++)
        await log.append(Array.from({ length: TOPICS }, (_, m) => event(`t.${m}.${n % 2}`, { type: 'other' })))
      /** A selection whose checks are slow now and then, so that the work takes several slices on any machine. */
      class Slow extends Selection {
        #asked = 0

        override hasType(type: string | undefined): boolean {
          if (++this.#asked % TOPICS === 0) burn()
          return super.hasType(type)
        }
      }
      const rare = new Slow(['t.**'], ['rare'])
      for (const [name, work] of [
        ['before', () => locateNewest(log, rare, 1)],
        ['read', () => readFrom(log, rare, { after: 0, events: 1 })],
        ['newest', () => log.newest(rare, { after: 0, events: 1 })],
        ['topics', () => log.topics({ limit: 1 }, (name) => name === 'nobody' || (name.endsWith('00.0') && burn()))],
      ] as const) {
        let turns = 0
        let immediate = setImmediate(function turn() {
          turns++
          immediate = setImmediate(turn)
        })
        await work()
        clearImmediate(immediate)
        t.ok(turns >= 2, `${name}: ${turns} turns of the event loop have passed`)
      }
    })

    await t.test('events that are trimmed during a read are either read or a gap', async (t) => {
      const selection = new Selection(['t.*', 'nobody'])
      for (const [after, purges] of [
        [0, false],
        [2_000, false],
        [2_000, true],
        [5_900, true],
      ] as const) {
        const { log } = await start(t, { events: 3_000 })
        await log.append(Array.from({ length: 6_000 }, (_, n) => event(`t.${n % 2}`)))
        const { head } = log.view
        const scanned: number[] = []
        const reading = log.scan(selection, { after, until: head }, ({ sequence }) => {
          scanned.push(sequence)
          if (scanned.length % 20 === 0) burn()
          return true
        })
        const going = new Set([reading])
        void reading.finally(() => going.delete(reading))
        const purging = purges ? log.purge('t.1') : undefined
        while (going.size > 0) {
          await log.append(Array.from({ length: 400 }, (_, n) => event(`t.${n % 2}`)))
          await delay(0)
        }
        const { trimmedAt, position, more } = await reading
        await purging
        t.strictSame({ position, more }, { position: head, more: false })
        t.equal(trimmedAt !== undefined, scanned.length < head - after, `${scanned.length} of ${head - after}`)
        t.strictSame(
          scanned,
          scanned.toSorted((a, b) => a - b),
        )
      }
    })

    await t.test('the trim mark grows with each trim, and only then', async (t) => {
      const { log } = await start(t, { events: 2 })
      const { mark: trims } = log.view
      await log.append([event('a'), event('a'), event('b')])
      await readAll(log)
      t.equal(log.view.mark, trims)
      for (let n = 1, last = trims; n <= 3; n++, last = log.view.mark) {
        await log.append([event('a')])
        await until(async () => log.view.stats().events === 3)
        t.ok(log.view.mark > last)
      }
    })

    await t.test('trims since a mark are known per topic', async (t) => {
      const { log } = await start(t, { events: 2 })
      const [a, b, any] = [new Selection(['a']), new Selection(['b', 'nobody']), new Selection(['*'])]
      const before = log.view.mark
      await log.append([event('a'), event('b'), event('a'), event('a'), event('a')]) // a: 1 and 3 are trimmed
      await until(async () => log.view.stats().events === 3)
      const between = log.view.mark
      t.strictSame(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, before))), [
        true,
        false,
        true,
      ])
      t.strictSame(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 2, before))),
        [true, false, true],
        'the trimmed event 3 is after 2',
      )
      t.strictSame(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 3, before))),
        [false, false, false],
        'no trimmed event is after 3',
      )
      t.strictSame(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, between))),
        [false, false, false],
        'no trim since the mark',
      )
      await log.append([event('b'), event('b')]) // b: 2 is trimmed
      await until(async () => log.view.stats().events === 4)
      t.strictSame(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, between))), [
        false,
        true,
        true,
      ])
      t.strictSame(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, log.view.mark))), [
        false,
        false,
        false,
      ])
    })

    await t.test('stats have the size of the log', async (t) => {
      const { log } = await start(t, { events: 10 })
      await log.append([...manyEvents(5, 'a'), ...manyEvents(5, 'b')])
      const before = log.view.stats()
      t.match(before, { topics: 2, events: 10 })
      await log.append([event('a', { payload: 'x'.repeat(10_000) })])
      t.ok(log.view.stats().bytes >= before.bytes + 10_000)
      await log.append(manyEvents(20, 'a'))
      await until(async () => log.view.stats().events === 15)
      t.ok(log.view.stats().bytes < 10_000, 'trimmed events do not count')
    })

    await t.test('records are stored by key', async (t) => {
      const { log } = await start(t, { events: 1 })
      const { records } = log
      t.equal(await records.get('a/1'), undefined)
      t.strictSame(await records.list('a/'), [])
      const value = { text: 'zwölf\n€ 𝄞\0', list: [1, null, { x: true }] }
      await Promise.all([
        records.put('a/2', 2),
        records.put('a/1', value),
        records.put('ab', 'other'),
        records.put('b/1', false),
        records.put('a/10', '10'),
      ])
      t.strictSame(await records.get('a/1'), value)
      t.strictSame(await records.list('a/'), [
        { key: 'a/1', value },
        { key: 'a/10', value: '10' },
        { key: 'a/2', value: 2 },
      ])
      t.strictSame(
        (await records.list('')).map(({ key }) => key),
        ['a/1', 'a/10', 'a/2', 'ab', 'b/1'],
      )
      await records.put('a/2', 'again')
      await records.delete('a/10')
      await records.delete('never')
      await log.append(manyEvents(5, 'a'))
      t.strictSame(await records.list('a/'), [
        { key: 'a/1', value },
        { key: 'a/2', value: 'again' },
      ])
      t.equal(log.view.head, 5, 'a record is not an event')
    })

    await t.test('a record is a copy', async (t) => {
      const { log } = await start(t)
      const value = { list: [1] }
      const put = log.records.put('a', value)
      value.list.push(2)
      await put
      const got = (await log.records.get('a')) as typeof value
      t.strictSame(got, { list: [1] })
      got.list.push(3)
      t.strictSame(await log.records.get('a'), { list: [1] })
    })

    await t.test('a key has at most 1,024 bytes', async (t) => {
      const { log } = await start(t)
      await log.records.put('é'.repeat(512), 1)
      t.equal(await log.records.get('é'.repeat(512)), 1)
      await t.rejects(log.records.put('é'.repeat(513), 1), RangeError)
    })

    await t.test('a record expires', async (t) => {
      const { log, clock } = await start(t)
      const { records } = log
      await Promise.all([
        records.put('a', 1, { ttl: 1_000 }),
        records.put('b', [2], { ttl: 2_000 }),
        records.put('c', [3, 4]),
        records.put('d', 5, { ttl: 1_000 }),
        records.put('e', 6, { ttl: 1_000 }),
      ])
      await records.put('d', 7, { ttl: 3_000 }) // the last write wins
      await records.put('e', 8)
      clock.now += 999
      t.equal((await records.list('')).length, 5)
      clock.now += 1
      t.equal(await records.get('a'), undefined, 'the record is removed at once')
      t.strictSame(await records.list(''), [
        { key: 'b', value: [2] },
        { key: 'c', value: [3, 4] },
        { key: 'd', value: 7 },
        { key: 'e', value: 8 },
      ])
      clock.now += 1_000
      t.strictSame(
        (await records.list('')).map(({ key }) => key),
        ['c', 'd', 'e'],
      )
      await records.put('a', 'again')
      clock.now += 1e9
      t.strictSame(
        (await records.list('')).map(({ key }) => key),
        ['a', 'c', 'e'],
      )
    })

    await t.test('a follower and a watcher get the expiry of a record', async (t) => {
      const { log, clock } = await start(t)
      const { records } = log
      const keys = Array.from({ length: 700 }, (_, n) => `a/${n}`)
      await Promise.all(keys.map((key) => records.put(key, 1, { ttl: 1_000 })))
      await records.put('a/stays', 2, { ttl: 10_000 })
      const followed: RecordChange[] = []
      const watched: RecordChange[] = []
      await log.follow((delta) => void followed.push(...delta.records))
      await records.watch('a/', (change) => void watched.push(change))
      t.equal(watched.splice(0).length, 701)
      clock.now += 1_000
      await records.put('a/0', 3, { ttl: 10_000 })
      await until(async () => watched.length === 700)
      const expected = [...keys.slice(1), 'a/0'].sort()
      for (const changes of [followed, watched]) t.strictSame(changes.map(({ key }) => key).sort(), expected)
      t.strictSame(
        watched.filter(({ value }) => value !== undefined),
        [{ key: 'a/0', value: 3 }],
      )
    })

    await t.test('a watcher gets the existing records, and then each change once', async (t) => {
      const { log } = await start(t)
      const { records } = log
      const keys = Array.from({ length: 400 }, (_, n) => `a/${n}`)
      await Promise.all([...keys, 'b/1', 'ab'].map((key) => records.put(key, 0)))
      const told: RecordChange[] = []
      const seen = new Map<string, number[]>()
      const watching = records.watch('a/', ({ key, value }) => {
        told.push({ key, value })
        if (value !== undefined) seen.set(key, [...(seen.get(key) ?? []), value as number])
        else seen.delete(key)
      })
      const changes: Promise<void>[] = []
      for (let n = 1; n <= 30; n++) {
        changes.push(records.put(`a/${n * 13}`, n), records.put(`a/new-${n}`, n), records.put('b/1', n))
        await delay(0)
      }
      changes.push(records.delete('a/1'))
      const stop = await watching
      await Promise.all(changes)
      t.strictSame([...seen.keys()].sort(), (await records.list('a/')).map(({ key }) => key).sort())
      for (const { key, value } of await records.list('a/')) t.equal(seen.get(key)!.at(-1), value)
      for (const [key, values] of seen) {
        t.equal(new Set(values).size, values.length, `no value of ${key} is delivered twice`)
        t.strictSame(
          values,
          values.toSorted((a, b) => a - b),
        )
      }
      told.length = 0
      await records.put('a/1', 1)
      await records.delete('a/1')
      await records.delete('a/1')
      await records.put('b/1', 99)
      t.strictSame(told, [
        { key: 'a/1', value: 1 },
        { key: 'a/1', value: undefined },
      ])
      stop()
      await records.put('a/1', 2)
      t.equal(told.length, 2)
    })

    await t.test('a follower gets each change of a record, in order', async (t) => {
      const { log } = await start(t)
      const told: RecordChange[] = []
      await log.follow(({ records }) => void told.push(...records))
      const value = { list: [1] }
      const put = log.records.put('a', value)
      value.list.push(2)
      await Promise.all([put, log.records.delete('a'), log.records.put('a', 2), log.records.delete('b')])
      t.strictSame(told, [
        { key: 'a', value: { list: [1] } },
        { key: 'a', value: undefined },
        { key: 'a', value: 2 },
      ])
    })

    await t.test('a healthy log has no failure', async (t) => {
      const { log } = await start(t)
      await log.append([event('a')])
      t.equal(log.view.failure, undefined)
    })

    await t.test('close waits for pending appends', async (t) => {
      const { log } = await start(t)
      const appends = [log.append(manyEvents(3)), log.append(manyEvents(3))]
      await log.close()
      t.strictSame(
        (await Promise.all(appends)).flat().map(({ sequence }) => sequence),
        [1, 2, 3, 4, 5, 6],
      )
    })

    if (reopen) {
      await t.test('opened again', async (t) => {
        /** Opens a log that `again` closes and opens again. */
        async function startOver(t: Test, limits: Partial<Retention> = {}) {
          const clock = { now: 1_700_000_000_000 }
          let log = await open({ ...KEEP_ALL, ...limits }, () => clock.now)
          t.teardown(() => log.close())
          return {
            clock,
            log: () => log,
            again: async () => (log = await reopen!(log, { ...KEEP_ALL, ...limits }, () => clock.now)),
          }
        }

        await t.test('the log has the same events, in the same epoch', async (t) => {
          const { log, again } = await startOver(t)
          const { epoch } = log().view
          await log().append([event('a', { type: 'x', id: '1' }), event('b', { payload: 'zwölf\n€ 𝄞' })])
          const before = (await readAll(log())).events
          const stats = log().view.stats()
          await again()
          t.equal(log().view.epoch, epoch)
          t.equal(log().view.head, 2)
          t.strictSame((await readAll(log())).events.map(plain), before.map(plain))
          t.strictSame(log().view.stats(), stats)
          t.strictSame(await log().append([event('a')]), [stored(3)])
        })

        await t.test('a sequence is not reused, even if every event has been trimmed', setsClock, async (t) => {
          const { log, clock, again } = await startOver(t, { age: 1_000 })
          await log().append(manyEvents(3))
          clock.now += 5_000
          await until(async () => (await readAll(log())).events.length === 0)
          await again()
          t.equal(log().view.head, 3)
          t.strictSame(await log().append([event('a')]), [stored(4)])
        })

        await t.test('the log knows the trims', async (t) => {
          const { log, again } = await startOver(t, { events: 1 })
          await log().append([event('a'), event('b'), event('a')])
          await until(async () => log().view.stats().events === 2)
          await again()
          t.match(await readAll(log(), new Selection(['a'])), { gap: true })
          t.match(await readAll(log(), new Selection(['a']), 1), { gap: false })
          t.match(await readAll(log(), new Selection(['b'])), { gap: false })
        })

        await t.test('the log knows the purges', async (t) => {
          const { log, again } = await startOver(t, { dedupWindow: 10_000 })
          await log().append([event('a', { id: 'x' }), event('b'), event('a')])
          t.equal(await log().purge('a'), 2)
          await again()
          t.strictSame(sequences(await readAll(log())), [2])
          t.match(log().view.stats(), { topics: 1, events: 1 })
          t.match(await readAll(log(), new Selection(['a']), 2), { gap: true })
          t.match(await readAll(log(), new Selection(['a']), 3), { gap: false })
          t.strictSame(await log().append([event('a', { id: 'x' }), event('a')]), [duplicate(1), stored(4)])
        })

        await t.test('the log keeps more topics than a lower maximum, and refuses only new ones', async (t) => {
          const limits: Partial<Retention> = { topics: 3 }
          const { log, again } = await startOver(t, limits)
          await log().append([event('a'), event('b'), event('c')])
          limits.topics = 2
          await again()
          t.match(log().view.stats(), { topics: 3 })
          t.strictSame(await log().append([event('a'), event('c')]), [stored(4), stored(5)])
          await t.rejects(log().append([event('d')]), { code: 'too-many-topics' })
          await log().purge('a')
          await log().purge('b')
          t.strictSame(await log().append([event('d')]), [stored(6)])
        })

        await t.test(
          'the log trims only events that are too old, after restarts with a clock that was ahead or behind',
          setsClock,
          async (t) => {
            const clock = { now: 1_700_000_000_000 + 1e10, elapsed: 0 }
            const pass = (time: number) => {
              clock.now += time
              clock.elapsed += time
            }
            const retention = { ...KEEP_ALL, age: 10_000 }
            let log = await open(
              retention,
              () => clock.now,
              () => clock.elapsed,
            )
            t.teardown(() => log.close())
            const reopenLog = async () => {
              clock.elapsed = 77 // the monotonic clock starts again
              log = await reopen(
                log,
                retention,
                () => clock.now,
                () => clock.elapsed,
              )
            }
            await log.append([event('old')])
            pass(1_001)
            await log.append([event('ahead')])
            clock.now -= 1e10
            await reopenLog()
            pass(5_000)
            await log.append([event('right')])
            clock.now -= 1e10
            await reopenLog()
            await log.append([event('back')])
            clock.now += 1e10
            pass(4_000)
            await log.append([event('right')])
            await reopenLog()
            await until(async () => log.view.stats().events < 5) // the trimmer has run
            t.strictSame(sequences(await readAll(log)), [2, 3, 4, 5])
            pass(1_001)
            await until(async () => log.view.stats().events < 4)
            t.strictSame(sequences(await readAll(log)), [3, 4, 5])
            pass(5_000)
            await until(async () => log.view.stats().events < 3)
            t.strictSame(sequences(await readAll(log)), [5])
            pass(4_000)
            await until(async () => log.view.stats().events === 0)
          },
        )

        await t.test('the log has its records', async (t) => {
          const { clock, log, again } = await startOver(t)
          await Promise.all([log().records.put('a', { x: 1 }), log().records.put('b', 2)])
          await log().records.delete('b')
          await again()
          t.strictSame(await log().records.list(''), [{ key: 'a', value: { x: 1 } }])
          await log().records.put('c', 3, { ttl: 1_000 })
          clock.now += 999
          await again()
          t.equal(await log().records.get('c'), 3)
          clock.now += 1
          t.equal(await log().records.get('c'), undefined)
        })

        await t.test('the log has the properties of its topics', async (t) => {
          const { log, again } = await startOver(t)
          await log().append([event('a')])
          await Promise.all(['a', 'b', 'c'].map((topic) => log().setTopic(topic, { contentType: topic })))
          await log().setTopic('b', undefined)
          await again()
          t.match(await log().topic('a'), { events: 1, properties: { contentType: 'a' } })
          t.equal(await log().topic('b'), undefined)
          t.strictSame((await log().topic('c'))!.properties, { contentType: 'c' })
        })

        await t.test('the log remembers publisher ids', async (t) => {
          const { log, clock, again } = await startOver(t, { events: 1, dedupWindow: 10_000 })
          await log().append([event('a', { id: 'trimmed' }), event('a', { id: 'kept' })])
          await until(async () => log().view.stats().events === 1)
          await again()
          clock.now += 9_000
          t.strictSame(await log().append([event('a', { id: 'trimmed' }), event('a', { id: 'kept' })]), [
            duplicate(1),
            duplicate(2),
          ])
        })
      })
    }
  })
}

/** Returns an event for the log. The default payload is the topic's name. */
export function event(topic: string, { payload = topic, type, id, kind = 'text' }: Partial<NewEvent> = {}): NewEvent {
  return { topic, type, id, kind, payload }
}

function manyEvents(count: number, topic?: string): NewEvent[] {
  return Array.from({ length: count }, (_, n) => event(topic ?? `t.${n % 3}`))
}

function stored(sequence: number) {
  return { sequence, duplicate: false }
}

function duplicate(sequence: number) {
  return { sequence, duplicate: true }
}

/** Returns an event as an object with all members, including undefined ones. */
function plain({ sequence, time, topic, type, id, attributes, kind, payload }: StoredEvent): StoredEvent {
  return { sequence, time, topic, type, id, attributes, kind, payload }
}

/** Reads all events without parsing them, as catch-up does. */
async function scanAll(log: EventLog): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  await log.scan(EVERYTHING, { after: 0 }, (event) => {
    events.push({ ...event, payload: payloadOf(event) })
    return true
  })
  return events
}

/** Blocks the event loop for 0.5 ms, and returns `false`. */
function burn(): false {
  for (const end = performance.now() + 0.5; performance.now() < end;);
  return false
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, index) => start + index)
}

function sequences(page: { events: readonly StoredEvent[] }): number[] {
  return page.events.map(({ sequence }) => sequence)
}

async function readAll(log: EventLog, selection = EVERYTHING, after = 0): Promise<PageRead> {
  return readFrom(log, selection, { after, events: 1_000_000 })
}

/**
 * Whether the log has trimmed events of a selection after the sequence `after`, by trims later than the mark `since`.
 */
async function hasTrimmed(log: EventLog, selection: Selection, after: number, since: number): Promise<boolean> {
  const { gap, trimmedAt } = await readFrom(log, selection, { after, events: 1 })
  same(gap, trimmedAt !== undefined)
  return trimmedAt !== undefined && trimmedAt > since
}

function isOf(selection: Selection): (event: NewEvent) => boolean {
  return ({ topic, type }) => selection.hasTopic(topic) && selection.hasType(type)
}

/** Reads page after page, and compares each page with a model of the log. */
async function checkRead(
  log: EventLog,
  all: readonly (NewEvent & { sequence: number })[],
  { selection, after, until, events, bytes }: AnyRead,
): Promise<void> {
  const end = Math.min(until ?? log.view.head, log.view.head)
  for (let position = Math.min(after, end); ;) {
    const options: ReadOptions = { after: position, events }
    if (until !== undefined) options.until = end
    if (bytes !== undefined) options.bytes = bytes
    const page = await readFrom(log, selection, options)
    const wanted = all.filter(isOf(selection)).filter(({ sequence }) => sequence > position && sequence <= end)
    let size = 0
    const expected = wanted.filter(({ payload }, index) => {
      const fits = index < events && size < (bytes ?? Infinity)
      size += payload.length
      return fits
    })
    same(
      page.events.map(({ sequence, topic, type, payload }) => [sequence, topic, type, payload]),
      expected.map(({ sequence, topic, type, payload }) => [sequence, topic, type, payload]),
    )
    same({ more: page.more, gap: page.gap }, { more: expected.length < wanted.length, gap: false })
    const passed = wanted.filter(({ sequence }) => sequence <= page.position).length
    same(passed, expected.length) // the page has every event up to its position
    if (!page.more) {
      same(page.position, end) // otherwise a reader would never end
      return
    }
    position = page.position
  }
}

/** Events to append, or a topic to purge. */
type AnyChange = NewEvent[] | string

function anyChanges(): fc.Arbitrary<AnyChange[]> {
  return fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.array(smallEvent(), { minLength: 1, maxLength: 6 }) },
      { weight: 1, arbitrary: fc.constantFrom(...TOPICS) },
    ),
    { maxLength: 15 },
  )
}

interface AnyRead {
  selection: Selection
  after: number
  until: number | undefined
  events: number
  bytes: number | undefined
}

const TOPICS = ['a', 'b', 'a.b', 'a.c', 'b.c', 'a.b.c']
const PATTERNS = [...TOPICS, '*', '**', 'a.*', '*.c', 'a.**', 'nobody', '*.b.*']

function smallEvent(): fc.Arbitrary<NewEvent> {
  return fc.record({
    topic: fc.constantFrom(...TOPICS),
    type: fc.constantFrom(undefined, undefined, 'x', 'y'),
    id: fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined, freq: 4 }),
    kind: fc.constant('text' as const),
    payload: fc.integer({ min: 1, max: 20 }).map((length) => 'p'.repeat(length)),
  })
}

/** Batches without publisher ids: the n-th event has the sequence n. */
function anyAppends(): fc.Arbitrary<NewEvent[][]> {
  return fc.array(
    fc.array(
      smallEvent().map((event) => ({ ...event, id: undefined })),
      { minLength: 1, maxLength: 6 },
    ),
    { maxLength: 8 },
  )
}

function anySelection(types = true): fc.Arbitrary<Selection> {
  return fc
    .tuple(
      fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 3 }),
      fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: types ? 2 : 0 }),
    )
    .map(([patterns, types]) => new Selection(patterns, types))
}

function anyReads(): fc.Arbitrary<AnyRead[]> {
  const read = fc.record({
    selection: anySelection(),
    after: fc.nat(40),
    until: fc.option(fc.nat(40), { nil: undefined }),
    events: fc.integer({ min: 1, max: 10 }),
    bytes: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
  })
  return fc.array(read, { minLength: 1, maxLength: 5 })
}

/** Events that `checkEvent` accepts. */
function anyEvent(): fc.Arbitrary<NewEvent> {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(fc.constantFrom('\0', '\r', '\n', '\u2028', '\u2029', '\u0085', '\ufeff', ' ', ':', '𝄞', 'é'), {
        maxLength: 20,
      })
      .map((parts) => parts.join('')),
  )
  const topic = fc.constantFrom(...TOPICS)
  const attributes = fc.option(
    anyAttributes()
      .filter((made) => Object.keys(made).length > 0)
      .map((made) => JSON.stringify(made)),
    { nil: undefined },
  )
  return fc.oneof(
    fc.record({
      topic,
      type: fc.option(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { nil: undefined }),
      id: fc.constant(undefined),
      attributes,
      kind: fc.constant('text' as const),
      payload: text,
    }),
    fc.record({
      topic,
      type: fc.constant(undefined),
      id: fc.uuid(),
      attributes,
      kind: fc.constant('json' as const),
      payload: fc.json(),
    }),
    fc.record({
      topic,
      type: fc.constantFrom(undefined, 'image'),
      id: fc.option(fc.uuid(), { nil: undefined }),
      attributes,
      kind: fc.constant('bytes' as const),
      payload: fc
        .oneof(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ minLength: 5_000, maxLength: 6_000 }))
        .map((bytes) => Buffer.from(bytes).toString('base64')),
    }),
  )
}

/** Waits until a condition is true. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${DEADLINE} ms`)
    await delay(5)
  }
}
