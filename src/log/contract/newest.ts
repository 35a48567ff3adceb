/** The newest event of each topic. */
import { Selection } from '../../model/selection.js'
import type { EventLog, ReadOptions } from '../log.js'
import { anyAppends, anyReads, type AnyRead } from './any-event.js'
import { equal, has, ok, same } from './assertions.js'
import { event, isOf, numbered, range, sequences, type Numbered, manyEvents } from './events.js'
import { EVERYTHING, readPages, retains } from './reads.js'
import { KEEP_ALL, type Case } from './trial.js'

export const newest: readonly Case[] = [
  {
    name: 'returns the newest matching event of each topic',
    async check(trial) {
      const { log } = await trial.start()
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
      same(await newest(['a']), [6])
      same(await newest(['*']), [4, 5, 6], 'in log order')
      same(await newest(['nobody']), [])
      same(await newest(['*', 'a']), [4, 5, 6], 'each event once, even if several patterns match')
      same(await newest(['*'], ['x']), [1, 4], 'only events of the type')
      same(await newest(['*'], ['x', 'y']), [4, 5, 6])
      same(await newest(['*'], [], { after: 4 }), [5, 6])
      same(await newest(['*'], ['x'], { after: 1 }), [4])
      same(await newest(['*'], [], { until: 4 }), [2, 3, 4])
      same(await newest(['*'], [], { after: 2, until: 3 }), [3])
      has(await log.newest(EVERYTHING, { after: 0, events: 2 }), {
        events: [{ sequence: 4 }, { sequence: 5 }],
        position: 5,
        more: true,
        trimmedAt: undefined,
      })
      has(await log.newest(EVERYTHING, { after: 5, events: 2 }), {
        events: [{ sequence: 6 }],
        position: 6,
        more: false,
      })
      has(
        await log.newest(new Selection(['c']), { after: 0, events: 2 }),
        { position: 6, more: false },
        'the page covers everything up to the head',
      )
    },
  },

  {
    name: 'agrees with a simple model, page after page',
    async check(trial) {
      await trial.forAny(
        60,
        (random) => ({ batches: anyAppends(random), reads: anyReads(random) }),
        async ({ batches, reads }) => {
          const log = await trial.open(KEEP_ALL, () => 1)
          for (const batch of batches) await log.append(batch)
          for (const read of reads) await checkNewest(log, numbered(batches), read)
        },
      )
    },
  },

  {
    name: 'knows what has been trimmed',
    async check(trial) {
      const { log } = await trial.start({ events: 2 })
      await log.append([event('b'), ...manyEvents(10, 'a')])
      await retains(log, 3)
      const all = await log.newest(EVERYTHING, { after: 0, events: 9 })
      has(all, { events: [{ sequence: 1 }, { sequence: 11 }] })
      equal(typeof all.trimmedAt, 'number', 'the trimmed events are reported')
      has(await log.newest(new Selection(['b']), { after: 0, events: 9 }), { trimmedAt: undefined })
      has(await log.newest(EVERYTHING, { after: 9, events: 9 }), {
        events: [{ sequence: 11 }],
        trimmedAt: undefined,
      })
      has(
        await log.newest(EVERYTHING, { after: 0, until: 5, events: 9 }),
        { events: [{ sequence: 1 }], position: 5 },
        'trimmed events are not returned',
      )
    },
  },

  {
    name: 'lets the event loop run with many topics and types',
    async check(trial) {
      const { log } = await trial.start()
      for (let n = 0; n < 20; n++)
        await log.append(Array.from({ length: 500 }, (_, m) => event(`t.${m}`, { type: n === 0 ? 'first' : 'other' })))
      same(sequences(await log.newest(new Selection(['t.*'], ['first']), { after: 0, events: 1_000 })), range(1, 500))
      same(sequences(await log.newest(new Selection(['t.*']), { after: 0, events: 1_000 })), range(9_501, 500))
    },
  },
]

/** Reads the newest events page after page, and compares them with a model of the log. */
async function checkNewest(log: EventLog, all: readonly Numbered[], request: AnyRead): Promise<void> {
  const { selection, after, until = log.view.head, events, bytes = Infinity } = request
  const newest = new Map(
    all
      .filter(isOf(selection))
      .filter(({ sequence }) => sequence > after && sequence <= until)
      .map((event) => [event.topic, event.sequence]),
  )
  const read: number[] = []
  await readPages(
    log,
    request,
    (options) => log.newest(selection, options),
    (page) => {
      read.push(...sequences(page))
      ok(page.events.length <= events, `a page of at most ${events} events has ${page.events.length}`)
      const before = page.events.slice(0, -1).reduce((sum, { payload }) => sum + payload.length, 0)
      ok(before < bytes, `a page of at most ${bytes} bytes has its last event after ${before}`)
    },
  )
  same(
    read,
    [...newest.values()].sort((a, b) => a - b),
  )
}
