import t from 'tap'
import { Fanout } from '../../src/hub/fanout.js'
import { HubFigures } from '../../src/hub/figures.js'
import { Latency } from '../../src/hub/latency.js'
import { Selection } from '../../src/model/selection.js'
import { Encoder } from '../../src/wire/sse.js'
import { FairScheduler } from '../../src/event-loop/fair-scheduler.js'
import { CatchUpCache } from '../../src/hub/catch-up-cache.js'
import { Stream, type StreamSource } from '../../src/hub/stream.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { anybody } from './anybody.js'
import { FakeSink, settle, until } from './fake-sink.js'

const encoder = new Encoder('8f3kq0zt')

/** A fan-out with its own log: each dispatched event gets the next sequence. */
function open() {
  const figures = new HubFigures()
  const fanout = new Fanout(encoder, 'a', figures)
  let head = 0
  /** The cursors from which streams have read the log. */
  const missed: number[] = []
  const log = new MemoryLog({ events: 1, age: 1, bytes: 1, dedupWindow: 0 })
  const batches = new CatchUpCache(log, encoder, () => head)
  batches.after = (_feed, after) => {
    missed.push(after)
    return new Promise(() => undefined)
  }
  const source: StreamSource = {
    log,
    figures,
    encoder,
    batches,
    head: () => head,
    scheduler: new FairScheduler(),
    onEnd: (stream) => fanout.leave(stream.feed),
    onError: (err) => {
      throw err
    },
  }

  function dispatch(
    topic: string,
    text: string,
    { type, ephemeral = false }: { type?: string; ephemeral?: boolean } = {},
  ): void {
    const event = { topic, type, id: undefined, kind: 'text', payload: text } as const
    if (ephemeral) fanout.dispatchEphemeral(event)
    else fanout.dispatch({ ...event, sequence: ++head, time: 0 })
  }

  function subscribe(patterns: string[], types: string[] = []): FakeSink & { stream: Stream } {
    const selection = new Selection(patterns, types)
    const feed = fanout.enter(selection, 'raw')
    const sink = new FakeSink()
    const identity = { id: '', address: '', principal: anybody }
    const start = { sequence: head, gap: undefined, past: false }
    const stream = new Stream(source, { identity, feed, head, start, sink })
    stream.open()
    sink.writes.length = 0 // the first block
    return Object.assign(sink, { stream })
  }

  return { fanout, dispatch, subscribe, missed }
}

function range(length: number): string[] {
  return Array.from({ length }, (_, n) => String(n))
}

/** Blocks the event loop for longer than a slice of a sweep. */
function dawdle(): void {
  const end = performance.now() + 6
  while (performance.now() < end);
}

await t.test(
  'each stream gets its selected events once and in order, by one or several matching patterns',
  async (t) => {
    const { dispatch, subscribe } = open()
    const subscribers = {
      a: subscribe(['a.1']),
      any: subscribe(['**']),
      several: subscribe(['a.*', 'a.1', '*.1', '**']),
      typed: subscribe(['**'], ['x']),
      nothing: subscribe(['c']),
    }
    dispatch('a.1', '1')
    dispatch('b.1', '2', { type: 'x' })
    dispatch('a.1', '3', { type: 'y' })
    dispatch('a.1', '4', { ephemeral: true, type: 'x' })
    await until(() => subscribers.any.data.length === 4)
    await settle()
    t.strictSame(subscribers.a.data, ['1', '3', '4'])
    t.strictSame(subscribers.any.data, ['1', '2', '3', '4'])
    t.strictSame(subscribers.several.data, ['1', '2', '3', '4'])
    t.strictSame(subscribers.typed.data, ['2', '4'])
    t.strictSame(subscribers.nothing.writes, [])
  },
)

await t.test("all events of one turn are sent in one write, after the publisher's turn", async (t) => {
  const { dispatch, subscribe } = open()
  const subscriber = subscribe(['**'])
  for (const text of range(100)) dispatch('a', text)
  t.equal(subscriber.writes.length, 0)
  await until(() => subscriber.data.length === 100)
  t.equal(subscriber.writes.length, 1)
  t.strictSame(subscriber.data, range(100))
})

await t.test('count counts each subscriber of an event once', (t) => {
  const { fanout, subscribe } = open()
  subscribe(['a', '*'])
  subscribe(['a'])
  const third = subscribe(['a'], ['x'])
  t.equal(fanout.count('a', undefined), 2)
  t.equal(fanout.count('a', 'x'), 3)
  t.equal(fanout.count('b', 'x'), 1)
  t.equal(fanout.count('b.c', 'x'), 0)
  third.close()
  t.equal(fanout.count('a', 'x'), 2)
  t.end()
})

await t.test('a full sink is skipped, and gets the other events in order once it has drained', async (t) => {
  const { dispatch, subscribe } = open()
  const subscribers = Array.from({ length: 20 }, () => subscribe(['a']))
  subscribers.forEach((subscriber, n) => n % 3 === 0 && subscriber.stall(1 + (n % 4)))
  for (let n = 0; n < 30; n++) {
    dispatch('a', String(n))
    await settle(1)
  }
  await until(() => subscribers.every((subscriber, n) => n % 3 === 0 || subscriber.data.length === 30))
  for (const subscriber of subscribers.filter(({ isFull }) => isFull)) {
    t.ok(subscriber.data.length < 30)
    t.equal(subscriber.overflow, 0)
    subscriber.drain()
  }
  await until(() => subscribers.every((subscriber) => subscriber.data.length === 30))
  for (const subscriber of subscribers) t.strictSame(subscriber.data, range(30))
})

await t.test(
  'a sink that closes during a sweep, even another one than the current, does not affect other streams',
  async (t) => {
    const { fanout, dispatch, subscribe } = open()
    const subscribers = Array.from({ length: 12 }, () => subscribe(['a']))
    subscribers[2]!.onWrite = () => subscribers[2]!.close()
    subscribers[5]!.onWrite = () => {
      subscribers[5]!.onWrite = undefined
      for (const n of [4, 5, 6, 7]) subscribers[n]!.close() // two streams before the current one, and two after it
    }
    for (const text of range(3)) dispatch('a', text)
    await until(() => subscribers[11]!.data.length === 3)
    for (const text of ['3', '4']) dispatch('a', text)
    await until(() => subscribers[11]!.data.length === 5)
    const closed = [2, 4, 5, 6, 7]
    subscribers.forEach((subscriber, n) => {
      if (!closed.includes(n)) t.strictSame(subscriber.data, range(5), `subscriber ${n}`)
      t.equal(subscriber.late, 0, `no write to the closed sink ${n}`)
    })
    t.strictSame(subscribers[6]!.data, [])
    t.equal(fanout.count('a', undefined), 7)
  },
)

await t.test('a stream that joins during a sweep gets every later event once', async (t) => {
  const { dispatch, subscribe } = open()
  const subscribers = Array.from({ length: 4 }, () => subscribe(['a']))
  const joined: ReturnType<typeof subscribe>[] = []
  subscribers[1]!.onWrite = () => {
    subscribers[1]!.onWrite = undefined
    joined.push(subscribe(['a']), subscribe(['**']), subscribe(['a']))
  }
  for (const text of range(3)) dispatch('a', text)
  await until(() => subscribers[3]!.data.length === 3)
  for (const text of ['3', '4']) dispatch('a', text)
  await until(() => subscribers[3]!.data.length === 5)
  for (const subscriber of subscribers) t.strictSame(subscriber.data, range(5))
  for (const subscriber of joined) t.strictSame(subscriber.data, ['3', '4'])
})

await t.test('an event that is published during a sweep reaches the streams that the sweep has passed', async (t) => {
  const { dispatch, subscribe } = open()
  const subscribers = Array.from({ length: 6 }, () => subscribe(['a']))
  let published = 1
  for (const subscriber of subscribers.slice(2, 4)) {
    subscriber.onWrite = () => {
      if (published < 5) dispatch('a', String(published++))
    }
  }
  dispatch('a', '0')
  await until(() => subscribers.every(({ data }) => data.length === 5))
  for (const subscriber of subscribers) t.strictSame(subscriber.data, range(5))
})

await t.test('a long sweep lets the event loop run, and visits every stream', async (t) => {
  const { dispatch, subscribe } = open()
  const subscribers = Array.from({ length: 100 }, () => subscribe(['a']))
  for (const subscriber of subscribers)
    subscriber.onWrite = () => (subscriber.writes.length === 1 ? dawdle() : undefined)
  dispatch('a', '0')
  let turns = 0
  while (subscribers.some(({ data }) => data.length === 0)) {
    await settle(1)
    turns++
    if (turns < 5) dispatch('a', String(turns)) // during the sweep
  }
  t.ok(turns > 3, `${turns} turns of the event loop`)
  await until(() => subscribers.every(({ data }) => data.length >= 5))
  for (const subscriber of subscribers) t.strictSame(subscriber.data, range(5))
})

await t.test('the topics of a stream stay in log order, even if a sweep is interrupted', async (t) => {
  const { dispatch, subscribe } = open()
  const slow = Array.from({ length: 40 }, () => subscribe(['a']))
  for (const subscriber of slow) subscriber.onWrite = () => (subscriber.writes.length === 1 ? dawdle() : undefined)
  const all = subscribe(['**'])
  for (let n = 0; n < 60; n++) {
    dispatch(n % 3 === 0 ? 'a' : `b.${n % 5}`, String(n))
    if (n % 7 === 0) await settle(1)
  }
  await until(() => all.data.length === 60)
  t.strictSame(all.data, range(60))
  await until(() => slow.every(({ data }) => data.length === 20))
})

await t.test('a feed keeps no frames for streams that keep up, and a limited number for waiting ones', async (t) => {
  const { fanout, dispatch, subscribe, missed } = open()
  const quick = subscribe(['a'])
  const slow = subscribe(['a'])
  const { feed } = quick.stream
  const text = 'x'.repeat(500_000)
  dispatch('a', text)
  await until(() => quick.data.length === 1)
  t.equal(feed.holds(feed.end - 1), false, 'every stream has the event')
  slow.stall()
  for (let n = 2; n <= 40; n++) {
    dispatch('a', text)
    await until(() => quick.data.length === n)
  }
  let held = 0
  while (feed.holds(feed.end - held - 1)) held++
  t.ok(held > 0 && held < 25, `${held} frames are held`)
  slow.drain()
  await until(() => missed.length > 0)
  t.strictSame(missed, [slow.stream.sequence], 'the slow stream has to read the log')
  slow.close()
  fanout.releaseOld()
  t.equal(feed.holds(feed.end - 1), false)
})

await t.test('a feed is dropped with its last stream, and a new one begins empty', async (t) => {
  const { dispatch, subscribe } = open()
  const first = subscribe(['a.*'])
  dispatch('a.1', '0')
  first.close()
  await settle()
  t.strictSame(first.data, [])
  const second = subscribe(['a.*'])
  t.not(second.stream.feed, first.stream.feed)
  dispatch('a.1', '1')
  await until(() => second.data.length === 1)
  t.strictSame(second.data, ['1'])
})

await t.test('latency is measured when every stream has the event, even if it was sent before the call', async (t) => {
  const { fanout, dispatch, subscribe } = open()
  const latency = (fanout.latency = new Latency())
  const subscribers = Array.from({ length: 3 }, (_, n) => subscribe([`t.${n}`]))
  const since = performance.now() - 50
  for (let n = 0; n < 3; n++) dispatch(`t.${n}`, 'x')
  fanout.measure({ since, isSampled: true })
  t.strictSame(latency.take(), { p50: 0, p99: 0 }, 'no stream has the event yet')
  await until(() => subscribers.every(({ data }) => data.length === 1))
  t.ok(latency.take().p50 >= 50)
  fanout.measure({ since: performance.now() - 30, isSampled: true })
  const { p50 } = latency.take()
  t.ok(p50 >= 30, `${p50}`)
})
