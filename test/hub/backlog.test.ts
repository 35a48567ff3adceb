/** The parts that a stream is sent before it goes live. */
import { HubFigures } from '../../src/hub/figures.js'
import t from 'tap'
import { Backlog, type Delivery } from '../../src/hub/backlog.js'
import { CatchUpCache } from '../../src/hub/catch-up-cache.js'
import { BATCH_BYTES, Feed } from '../../src/hub/feed.js'
import { Frame } from '../../src/hub/frame.js'
import type { Start } from '../../src/hub/start.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import type { NewEvent } from '../../src/model/event.js'
import { Selection } from '../../src/model/selection.js'
import { Chunk } from '../../src/wire/chunk.js'
import { Encoder } from '../../src/wire/sse.js'
import { parseStream } from './reference-parser.js'

function event(topic: string, payload: string): NewEvent {
  return { topic, type: undefined, id: undefined, kind: 'text', payload }
}

/** Opens a log with events, each written as `topic:text`. */
async function prepare(events: string[], retained = 1e6) {
  const log = new MemoryLog({ events: retained, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  for (const text of events) await log.append([event(text.split(':')[0]!, text)])
  const encoder = new Encoder(log.view.epoch)
  const head = () => log.view.head
  const figures = new HubFigures()
  const source = { log, figures, encoder, head, batches: new CatchUpCache(log, encoder, head) }
  return {
    log,
    encoder,
    figures,
    feed: (...patterns: string[]) => new Feed(new Selection(patterns), 'raw', log.view.head),
    backlog: (start: Partial<Start> = {}) =>
      new Backlog(source, { sequence: 0, gap: undefined, past: false, ...start }),
  }
}

/** Returns the notice, the data and the ids of a delivery. */
function describe({ notice = Chunk.NOTHING, chunk }: Delivery) {
  const blocks = parseStream(chunk.plain)
  return {
    notice: parseStream(notice.plain).map(({ event }) => [event?.type, JSON.parse(event!.data) as unknown]),
    data: blocks.map(({ event }) => event?.data),
    ids: blocks.map(({ id }) => id),
  }
}

await t.test('a backlog reads the events after the cursor', async (t) => {
  const { backlog, feed, encoder } = await prepare(['a:1', 'b:2', 'a:3'])
  const delivery = (await backlog().read(feed('a'), 0)).accept()
  t.strictSame(describe(delivery), {
    notice: [],
    data: ['a:1', 'a:3'],
    ids: [encoder.cursor(1), encoder.cursor(3)],
  })
  t.match(delivery, { events: 2, position: 3 })
})

await t.test('a discarded part is read again', async (t) => {
  const { backlog, feed } = await prepare(['a:1', 'a:2'])
  const behind = backlog()
  behind.addReplay({ selection: new Selection(['a']), count: 2 }, 2, 0)
  ;(await behind.read(feed('a'), 2)).discard()
  t.equal(behind.replays, 1)
  t.strictSame(describe((await behind.read(feed('a'), 2)).accept()).data, ['a:1', 'a:2'])
  t.equal(behind.replays, 0)
})

await t.test('a gap is reported once, before the event that follows it', async (t) => {
  const { backlog, feed, encoder } = await prepare(['a:1', 'a:2', 'a:3', 'a:4'], 2)
  const behind = backlog()
  const own = feed('a')
  const after = encoder.cursor(0)
  t.match(describe((await behind.read(own, 0)).accept()), {
    notice: [['fanfare.gap', { reason: 'expired', after, oldest: encoder.cursor(3) }]],
    data: ['a:3', 'a:4'],
  })
  t.strictSame(describe((await behind.read(own, 0)).accept()).notice, [], 'not again')
})

await t.test('a gap of the start is reported even if nothing is missing from the log', async (t) => {
  const { backlog, feed } = await prepare(['a:1'])
  const behind = backlog({ gap: { reason: 'future', after: 'x' } })
  t.equal(behind.isRead, false)
  t.match(describe((await behind.read(feed('a'), 0)).accept()), {
    notice: [['fanfare.gap', { reason: 'future', after: 'x' }]],
    data: ['a:1'],
  })
  t.equal(behind.isRead, true)
})

await t.test('a replay comes first, and has no ids', async (t) => {
  const { backlog, feed } = await prepare(['a:1', 'b:2', 'a:3', 'b:4'])
  const behind = backlog()
  behind.addReplay({ selection: new Selection(['a']), count: 1 }, 3, 0)
  t.equal(behind.isRead, false)
  t.strictSame(describe((await behind.read(feed('a', 'b'), 3)).accept()), {
    notice: [],
    data: ['a:3'],
    ids: [undefined],
  })
  t.equal(behind.isRead, true)
  t.strictSame(describe((await behind.read(feed('a', 'b'), 3)).accept()).data, ['b:4'])
})

await t.test('a move drops the replays of patterns that the stream no longer has', async (t) => {
  const { backlog } = await prepare(['a:1', 'b:2'])
  const behind = backlog()
  behind.addReplay({ selection: new Selection(['a']), count: 1 }, 2, 0)
  behind.addReplay({ selection: new Selection(['a', 'b']), count: 1 }, 2, 0)
  behind.move(new Selection(['a', 'b']), new Selection(['b']))
  t.equal(behind.replays, 1)
  t.equal(behind.takeMove(), true)
  t.equal(behind.takeMove(), false, 'taken once')
})

await t.test('a backlog that skips has the newest event of each topic, and reports what is missing', async (t) => {
  const { backlog, feed } = await prepare(['a:1', 'a:2', 'b:3', 'a:4'])
  const behind = backlog()
  behind.skip()
  t.equal(behind.skips, true)
  const delivery = (await behind.read(feed('*'), 0)).accept()
  t.match(describe(delivery), { notice: [['fanfare.gap', { reason: 'skipped' }]], data: ['b:3', 'a:4'] })
  t.equal(delivery.position, 4)
  t.equal(behind.skips, false)
})

await t.test('carried events are the newest, at most one batch, of topics that the stream still has', async (t) => {
  const { backlog, feed, encoder } = await prepare([])
  const frame = (topic: string, payload: string, order: number) =>
    new Frame(encoder, event(topic, payload), undefined, order, 0, '')
  const behind = backlog()
  behind.carry([frame('a', 'x'.repeat(BATCH_BYTES), 1), frame('a', 'kept', 2), frame('b', 'left', 3)])
  const carried = behind.takeCarried(feed('a'))
  t.equal(carried?.events, 1)
  t.match(parseStream(carried!.chunk.plain), [{ id: undefined, event: { data: 'kept' } }])
  t.equal(behind.takeCarried(feed('a')), undefined, 'taken once')
})

await t.test('the live block is announced once, after history only', async (t) => {
  const { backlog } = await prepare([])
  const behind = backlog({ past: true })
  t.equal(behind.takeAnnouncement(), true)
  t.equal(behind.takeAnnouncement(), false)
  t.equal(backlog().takeAnnouncement(), false)
})
