/** A stalled subscriber is an older cursor in the log: it costs little memory, and loses no event. */
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { poll, within } from '../helper/deadline.js'
import { publish, request } from '../helper/http.js'
import { canMeasure, residentMemory } from '../helper/memory.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const EVENTS = 800
const SIZE = 50_000
const STALLED = 20
const PUBLISHERS = 4
/**
 * The maximum increase of memory, in megabytes. One queue per subscriber would take `EVENTS * SIZE * STALLED`, 800 MB.
 * Uncollected garbage varies by a few tens.
 */
const ALLOWED_MB = 150

const bearer = anyTopic()

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}

/** Returns the text of event `n`: its number, and a content that differs for each event. */
function text(n: number): string {
  return `${n} `.repeat(SIZE).slice(0, SIZE)
}

const keep = (event: StreamEvent): StreamEvent => ({ ...event, data: digest(event.data) })

interface Run {
  hub: Hub
  /** The largest increase of the hub's memory during the publishing, in megabytes. */
  growth: number
  /** The cursors of the events and the digests of their texts, in log order. */
  log: { id: string; data: string }[]
}

/** Publishes 40 MB, and measures the increase of the hub's memory. */
async function publishAll(hub: Hub): Promise<Run> {
  const before = canMeasure ? residentMemory(hub.pid) : 0
  let peak = before
  const log: Run['log'] = []
  let next = 0
  async function publisher(): Promise<void> {
    while (next < EVENTS) {
      const body = text(next++)
      const { id } = await publish(hub, 'bulk', { text: body }, bearer)
      log.push({ id, data: digest(body) })
      if (canMeasure) peak = Math.max(peak, residentMemory(hub.pid))
    }
  }
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher))
  log.sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1))
  return { hub, growth: peak - before, log }
}

async function start(t: Test, env: Record<string, string> = {}): Promise<Hub> {
  // Heartbeats become due repeatedly while a subscriber stalls. They must not move its cursor past unread events.
  return startHub(t, { FANFARE_RETAIN_EVENTS: '100000', FANFARE_HEARTBEAT: '250ms', ...env })
}

async function open(t: Test, hub: Hub, count: number): Promise<EventStream[]> {
  return Promise.all(
    Array.from({ length: count }, () => openLive(t, streamUrl(hub, ['bulk']), { token: bearer, keep })),
  )
}

await t.test('stalled subscribers cost bounded memory, and lose no event', async (t) => {
  const alone = await start(t)
  await open(t, alone, 1)
  const baseline = await publishAll(alone)
  await alone.kill()

  const hub = await start(t)
  const stalled = await open(t, hub, STALLED)
  const [subscriber] = await open(t, hub, 1)
  for (const stream of stalled) stream.pause()
  const { growth, log } = await publishAll(hub)
  await subscriber!.count(EVENTS)
  t.strictSame(
    subscriber!.events.map(({ id, data }) => ({ id, data })),
    log,
    'the subscriber that does not stall gets every event',
  )

  await t.test('memory', { skip: canMeasure ? false : '/proc is missing' }, async (t) => {
    t.comment(
      `memory grew by ${growth.toFixed(0)} MB with ${STALLED} stalled subscribers, by ${baseline.growth.toFixed(0)} MB without`,
    )
    t.ok(
      growth - baseline.growth < ALLOWED_MB,
      `${STALLED} stalled subscribers take less than ${ALLOWED_MB} MB together`,
    )
  })

  t.ok(
    stalled.every(({ events }) => events.length < EVENTS / 2),
    'the subscribers stalled',
  )
  t.notOk(
    stalled.some(({ isClosed }) => isClosed),
    'the streams stay open',
  )
  for (const stream of stalled) stream.resume()
  for (const [n, stream] of stalled.entries()) {
    await stream.count(EVENTS)
    t.strictSame(
      stream.events.map(({ id, data }) => ({ id, data })),
      log,
      `subscriber ${n} gets every event in order`,
    )
    t.notOk(
      stream.all.some(({ type }) => type === 'fanfare.gap'),
      'without a gap',
    )
  }
})

await t.test('a stalled subscriber that disconnects can resume from its cursor', async (t) => {
  const hub = await start(t)
  const [stalled] = await open(t, hub, 1)
  stalled!.pause()
  const { log } = await publishAll(hub)
  stalled!.destroy()
  const read = stalled!.events.length

  const again = await openLive(t, streamUrl(hub, ['bulk']), { token: bearer, keep, lastEventId: stalled!.lastId! })
  t.strictSame(
    [...stalled!.events, ...again.events].map(({ id, data }) => ({ id, data })),
    log,
    `${read} events before the disconnect, the others after it`,
  )
})

await t.test('a subscriber that stalls for too long is ended, and can resume from its cursor', async (t) => {
  const hub = await start(t, { FANFARE_SLOW_TIMEOUT: '500ms' })
  const [stalled] = await open(t, hub, 1)
  stalled!.pause()
  const { log } = await publishAll(hub)
  await poll(
    async () => ((await request<{ clients: number }>(`${hub.url}/status`)).body.clients === 0 ? true : undefined),
    () => 'the stream of the stalled subscriber is still open',
  )
  stalled!.resume()
  await within(stalled!.closed, () => stalled!.describe())

  const again = await openLive(t, streamUrl(hub, ['bulk']), { token: bearer, keep, lastEventId: stalled!.lastId! })
  t.strictSame(
    [...stalled!.events, ...again.events].map(({ id, data }) => ({ id, data })),
    log,
  )
})
