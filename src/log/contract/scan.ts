/** Scans. */
import type { StoredEvent } from '../../model/event.js'
import { Selection } from '../../model/selection.js'
import type { EventLog, ReadOptions } from '../log.js'
import { readPage } from '../page.js'
import { anyAppends, anyReads, type AnyRead } from './any-event.js'
import { has, rejects, same } from './assertions.js'
import { event, isOf, manyEvents, numbered, range, sequences, type Numbered } from './events.js'
import { EVERYTHING, readAll, readFrom, readPages, type PageRead } from './reads.js'
import { KEEP_ALL, type Case } from './trial.js'

/** A selection without events. */
const NOTHING = new Selection(['nobody'])

interface ScanSpan {
  after: number
  until?: number
}

/** Returns the result of a scan, and the events that the visitor got before it returned false. */
async function scanEvents(log: EventLog, selection: Selection, span: ScanSpan, limit = Infinity) {
  const events: StoredEvent[] = []
  const scanned = await log.scan(
    selection,
    span,
    (event) => events.length < limit && events.push({ ...event, payload: event.payload.toString() }) > 0,
  )
  return { events, ...scanned }
}

export const scan: readonly Case[] = [
  {
    name: 'selects by topic, several topics, pattern and type',
    async check(trial) {
      const { log } = await trial.start()
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
      same(await read(['a.1']), [1, 5])
      same(await read(['nobody']), [])
      same(await read(['a.1', 'b.1']), [1, 3, 5])
      same(await read(['a.*']), [1, 2, 5, 6])
      same(await read(['a.**']), [1, 2, 4, 5, 6])
      same(await read(['*.1', 'a.1', '**']), [1, 2, 3, 4, 5, 6], 'each event once, even if several patterns match')
      same(await read(['**'], ['x']), [1, 4, 6])
      same(await read(['a.*'], ['x', 'y']), [1, 5, 6])
      same(await read(['**'], ['X']), [])
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
          for (const read of reads) await checkRead(log, numbered(batches), read)
        },
      )
    },
  },

  {
    name: 'a page ends at its maximum number of events, and says whether more follow',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a'), event('b'), event('a'), event('b'), event('a')])
      const a = new Selection(['a'])
      has(await readFrom(log, a, { after: 0, events: 2 }), {
        events: [{ sequence: 1 }, { sequence: 3 }],
        more: true,
        gap: false,
      })
      has(await readFrom(log, a, { after: 3, events: 2 }), {
        events: [{ sequence: 5 }],
        position: 5,
        more: false,
      })
      has(
        await readFrom(log, a, { after: 0, events: 3 }),
        { position: 5, more: false },
        'the full last page has no more',
      )
      has(
        await readFrom(log, a, { after: 0, until: 4, events: 2 }),
        { position: 4, more: false },
        'a full page that ends at `until` has no more',
      )
      has(
        await readFrom(log, new Selection(['b']), { after: 0, events: 10 }),
        { position: 5, more: false },
        'the page covers everything up to the head',
      )
      has(await readFrom(log, a, { after: 5, events: 10 }), { events: [], position: 5, more: false })
    },
  },

  {
    name: 'a page ends at its maximum number of bytes, and has at least one event',
    async check(trial) {
      const { log } = await trial.start()
      await log.append(['1234', '1234', '1234', '12345678'].map((payload) => event('a', { payload })))
      const read = async (after: number, bytes: number) => readFrom(log, EVERYTHING, { after, events: 100, bytes })
      has(await read(0, 1), { events: { length: 1 }, more: true })
      has(await read(0, 4), { events: { length: 1 }, more: true })
      has(await read(0, 5), { events: { length: 2 }, more: true })
      has(await read(0, 20), { events: { length: 4 }, more: false })
      has(await read(3, 1), { events: { length: 1 }, position: 4, more: false })
    },
  },

  {
    name: 'visits the events of a page in order, until the visitor returns false',
    async check(trial) {
      const { log } = await trial.start()
      const payloads = ['plain', 'two\nlines', 'Grüße ☃ 🎉', '', 'x'.repeat(300), 'é'.repeat(70_000)]
      await log.append(
        payloads.flatMap((payload, n) => [
          event('a', { payload, type: n % 2 === 0 ? 'even' : undefined, id: `p${n}` }),
          event('b'),
        ]),
      )
      const show = (selection: Selection, span: ScanSpan, limit?: number) => scanEvents(log, selection, span, limit)
      for (const selection of [new Selection(['a']), EVERYTHING, new Selection(['*'], ['even']), NOTHING]) {
        for (const span of [{ after: 0 }, { after: 3 }, { after: 2, until: 7 }, { after: 12 }]) {
          same(await show(selection, span), await readPage(log, selection, { ...span, events: 1e9 }))
        }
      }
      has(await show(new Selection(['a']), { after: 0 }, 2), {
        events: [{ sequence: 1 }, { sequence: 3 }],
        more: true,
      })
      const { position } = await show(new Selection(['a']), { after: 0 }, 2)
      has(await show(new Selection(['a']), { after: position }), {
        events: { length: 4, 0: { sequence: 5 } },
        more: false,
      })
      has(await show(EVERYTHING, { after: 4 }, 0), { events: [], position: 4, more: true })
      const fail = () => {
        throw new Error('mine')
      }
      await rejects(log.scan(EVERYTHING, { after: 0 }, fail), { message: 'mine' })
      has(
        await show(EVERYTHING, { after: 10 }),
        { events: [{ sequence: 11 }, { sequence: 12 }] },
        'the visitor has failed, and the log continues to work',
      )
    },
  },

  {
    name: 'continues while events are appended, and misses none',
    async check(trial) {
      const { log } = await trial.start()
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
      same(read, range(1, log.view.head))
    },
  },
]

/** Reads page after page, and compares each page with a model of the log. */
async function checkRead(log: EventLog, all: readonly Numbered[], request: AnyRead): Promise<void> {
  const { selection, events, bytes } = request
  const read = (options: ReadOptions) => readFrom(log, selection, options)
  await readPages(log, request, read, (page, { after, end }) => {
    const wanted = all.filter(isOf(selection)).filter(({ sequence }) => sequence > after && sequence <= end)
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
  })
}
