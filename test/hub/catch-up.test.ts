import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { settle, until } from './fake-sink.js'
import { openHub, openHubOn } from './open-hub.js'
import { publishMany } from './publish-many.js'

const KEEP_ALL = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }

/** A memory log that counts its reads, and that a test can hold up. */
class WatchedLog extends MemoryLog {
  reads = 0
  /** Reads wait for this. */
  hold: Promise<unknown> | undefined

  override async scan(...args: Parameters<MemoryLog['scan']>) {
    this.reads++
    const scanned = await super.scan(...args)
    await this.hold
    return scanned
  }
}

function range(length: number, from = 0): string[] {
  return Array.from({ length }, (_, n) => String(from + n))
}

function events(topic: string, texts: string[], size = 0) {
  return texts.map((text) => ({
    topic,
    data: Number(text),
    text: undefined,
    ...(size > 0 ? { data: undefined, text: text.padEnd(size, '.') } : {}),
  }))
}

await t.test('several batches are sent in order, then the stream is live', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await publishMany(hub, events('a', range(3_500)))
  const subscriber = await subscribe(['a'], { replay: 'all' })
  await until(() => subscriber.told('live').length === 1)
  t.strictSame(subscriber.data, range(3_500))
  await hub.publish('a', { data: 3_500 })
  await until(() => subscriber.data.length === 3_501)
  t.equal(subscriber.told('live').length, 1)
})

await t.test('large events are sent in batches of bounded size', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await publishMany(hub, events('a', range(100), 20_000))
  const subscriber = await subscribe(['a'], { replay: 'all' })
  await until(() => subscriber.told('live').length === 1)
  t.equal(subscriber.data.length, 100)
  t.ok(subscriber.writes.every(({ length }) => length < 200_000))
})

await t.test('events that are published during catch-up follow it, each once', async (t) => {
  const log = new WatchedLog(KEEP_ALL)
  const { hub, subscribe } = await openHubOn(t, log)
  await publishMany(hub, events('a', range(2_500)))
  const subscriber = await subscribe(['a'], { replay: 'all' })
  for (let n = 2_500; n < 2_600; n++) {
    await hub.publish('a', { data: n })
    await turn()
  }
  await until(() => subscriber.data.length >= 2_600)
  await settle()
  t.strictSame(subscriber.data, range(2_600))
  t.equal(subscriber.told('live').length, 1)
})

await t.test('many streams that resume from one cursor cost one read', async (t) => {
  const log = new WatchedLog(KEEP_ALL)
  const { hub, subscribe } = await openHubOn(t, log)
  await publishMany(hub, events('a', range(2_000)))
  log.reads = 0
  let release: (() => void) | undefined
  log.hold = new Promise<void>((resolve) => (release = resolve))
  const subscribers = await Promise.all(
    Array.from({ length: 50 }, () => subscribe(['a'], { lastEventId: `${hub.epoch}-1000` })),
  )
  await settle()
  log.hold = undefined
  release!()
  await until(() => subscribers.every((subscriber) => subscriber.told('live').length === 1))
  t.ok(log.reads <= 2, `${log.reads} reads`)
  for (const subscriber of subscribers) t.strictSame(subscriber.data, range(1_000, 1_000))
})

await t.test('a stream that closes during a read of the log gets nothing more', async (t) => {
  const log = new WatchedLog(KEEP_ALL)
  const { hub, subscribe } = await openHubOn(t, log)
  await publishMany(hub, events('a', range(5_000)))
  let release: (() => void) | undefined
  log.hold = new Promise<void>((resolve) => (release = resolve))
  const [gone, ended, stays] = [
    await subscribe(['a'], { lastEventId: `${hub.epoch}-0` }),
    await subscribe(['a'], { lastEventId: `${hub.epoch}-0` }),
    await subscribe(['a'], { lastEventId: `${hub.epoch}-0` }),
  ]
  gone.close()
  ended.stream.end('revoked')
  release!()
  log.hold = undefined
  await until(() => stays.told('live').length === 1)
  for (const subscriber of [gone, ended]) {
    t.strictSame(subscriber.data, [])
    t.equal(subscriber.late, 0)
  }
  t.strictSame(ended.told('close'), [{ reason: 'revoked' }])
})

await t.test('a read that fails after its stream has closed is not reported', async (t) => {
  for (const closes of [true, false]) {
    const log = new WatchedLog(KEEP_ALL)
    const { hub, errors, subscribe } = await openHubOn(t, log)
    await publishMany(hub, events('a', range(10)))
    let fail: ((err: Error) => void) | undefined
    log.hold = new Promise<void>((_resolve, reject) => (fail = reject))
    const stream = await subscribe(['a'], { lastEventId: `${hub.epoch}-0` })
    await until(() => log.reads > 0)
    if (closes) stream.close()
    fail!(new Error('the log is closed'))
    await settle()
    t.equal(errors.length, closes ? 0 : 1)
    t.equal(stream.told('close').length, closes ? 0 : 1)
  }
})

await t.test('a stream whose sink fills during catch-up continues from its cursor', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await publishMany(hub, events('a', range(100), 20_000))
  const subscriber = await subscribe(['a'], { replay: 'all' })
  subscriber.stall(2)
  await until(() => subscriber.isFull)
  const { length } = subscriber.data
  t.ok(length < 100)
  for (let n = 0; n < 5; n++) {
    await hub.publish('a', { text: String(n) })
    await settle(1)
  }
  t.equal(subscriber.data.length, length)
  t.equal(subscriber.overflow, 0)
  subscriber.drain()
  await until(() => subscriber.data.length === 105)
  t.strictSame(
    subscriber.data.map((text) => text.replace(/\.*$/, '')),
    [...range(100), ...range(5)],
  )
  t.equal(subscriber.told('live').length, 1)
})

await t.test('catch-up lets the event loop run', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 0; n < 20; n++) await publishMany(hub, events(`t.${n}`, range(1_000)))
  const subscribers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => subscribe([`t.${n}`, '**'], { replay: 'all' })),
  )
  let longest = 0
  let last = process.cpuUsage()
  await until(() => {
    const { user, system } = process.cpuUsage(last) // not the clock: a busy machine runs other work
    longest = Math.max(longest, (user + system) / 1_000)
    last = process.cpuUsage()
    return subscribers.every(({ stream }) => stream.state === 'live')
  })
  t.ok(longest < 500, `the event loop was blocked for ${Math.round(longest)} ms`)
  for (const subscriber of subscribers) t.equal(subscriber.data.length, 20_000)
})

await t.test('a replay of an empty log does not affect later replays', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const first = await subscribe(['a'], { replay: 'all' })
  await until(() => first.told('live').length === 1)
  await publishMany(hub, events('a', range(3)))
  const second = await subscribe(['a'], { replay: 'all' })
  await until(
    () => second.told('live').length === 1,
    () => 'the second stream never becomes live',
  )
  t.strictSame(second.data, range(3))
  t.strictSame(first.data, range(3))
})

await t.test('a replay has the currently retained events, not those of an earlier replay', async (t) => {
  const { hub, subscribe } = await openHub(t, {}, { events: 5 })
  await publishMany(hub, events('a', range(5)))
  const first = await subscribe(['a'], { replay: 'all' })
  await until(() => first.told('live').length === 1)
  await publishMany(hub, events('a', range(20, 5)))
  const second = await subscribe(['a'], { replay: 'all' })
  await until(() => second.told('live').length === 1)
  t.strictSame(second.data, range(5, 20))
  t.strictSame(second.told('gap'), [])
})

await t.test('a gap names the oldest retained event, even if an earlier request found none', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.publish('b', { data: 0 })
  const first = await subscribe(['a'], { lastEventId: 'zzzzzzzz-1' })
  await until(() => first.told('live').length === 1)
  await hub.publish('a', { data: 1 })
  const second = await subscribe(['a'], { lastEventId: 'zzzzzzzz-1' })
  await until(() => second.told('live').length === 1)
  t.strictSame(second.data, ['1'])
  t.match(second.told('gap'), [{ reason: 'epoch', oldest: `${hub.epoch}-2` }])
})

await t.test('a replay of several batches reports no gap from before it began', async (t) => {
  const { hub, subscribe } = await openHub(t, {}, { events: 10 })
  await publishMany(hub, events('quiet', range(10), 20_000))
  await publishMany(hub, events('busy', range(50), 20_000))
  const subscriber = await subscribe(['quiet', 'busy'], { replay: 'all' })
  await until(() => subscriber.told('live').length === 1)
  t.equal(subscriber.data.length, 20)
  t.strictSame(subscriber.told('gap'), [], 'a replay requests only retained events')
})

await t.test('events that are trimmed during catch-up are reported as a gap', async (t) => {
  const { hub, subscribe } = await openHub(t, {}, { events: 20 })
  await publishMany(hub, events('a', range(20), 20_000))
  const subscriber = await subscribe(['a'], { lastEventId: `${hub.epoch}-0` })
  subscriber.stall(2)
  await until(() => subscriber.isFull)
  await publishMany(hub, events('a', range(400, 20), 20_000))
  subscriber.drain()
  await until(() => subscriber.told('live').length === 1)
  const ids = subscriber.blocks.flatMap(({ id, event }) => (event?.type === 'message' ? [Number(id!.slice(9))] : []))
  const before = ids.filter((id) => id <= 20)
  t.strictSame(ids, [...before, ...range(20, 401).map(Number)])
  t.strictSame(subscriber.told('gap'), [
    { reason: 'expired', after: `${hub.epoch}-${before.length}`, oldest: `${hub.epoch}-401` },
  ])
})

await t.test('a gap is reported once, for any number of later batches', async (t) => {
  const { hub, subscribe } = await openHub(t, {}, { events: 1_500 })
  for (let n = 0; n < 3_000; n++) await hub.publish('a', { data: n })
  for (let n = 0; n < 3_000; n++) await hub.publish('b', { data: n })
  const subscriber = await subscribe(['a', 'b'], { lastEventId: hub.cursor(1) })
  await until(() => subscriber.told('live').length === 1)
  t.equal(subscriber.data.length, 3_000)
  t.strictSame(subscriber.told('gap'), [{ reason: 'expired', after: hub.cursor(1), oldest: hub.cursor(1_501) }])
})

await t.test(
  'a gap covers all skipped events of a stream that wants only the newest, however many other events precede them',
  async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'], { slow: 'latest', types: ['rare'] })
    await subscribe(['b'])
    await settle()
    subscriber.stall()
    await hub.publish('a', { data: 1, type: 'rare' })
    await until(() => subscriber.isFull)
    for (let n = 0; n < 50; n++)
      await hub.publishAll(
        Array.from({ length: 1_000 }, () => ({ topic: 'a', data: 0, type: 'other', text: undefined })),
      )
    await hub.publishAll([2, 3].map((data) => ({ topic: 'a', data, type: 'rare' })))
    // the feeds keep no earlier frames
    const large = Array.from({ length: 40 }, () => ({ topic: 'b', text: 'x'.repeat(100_000) }))
    await hub.publishAll(large)
    await hub.publish('a', { data: 4, type: 'rare' })
    await settle()
    subscriber.drain()
    await until(() => subscriber.data.includes('4'))
    t.strictSame(subscriber.data, ['1', '4'])
    t.match(subscriber.told('gap'), [{ reason: 'skipped' }])
  },
)

await t.test('a stream that wants only the newest skips nothing if its sink is full for a moment', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const subscriber = await subscribe(['a'], { slow: 'latest' })
  await settle()
  for (let n = 0; n < 30; n += 3) {
    subscriber.stall()
    await hub.publish('a', { data: n })
    await until(() => subscriber.isFull)
    await hub.publishAll([n + 1, n + 2].map((data) => ({ topic: 'a', data })))
    subscriber.drain()
  }
  await until(() => subscriber.data.includes('29'))
  t.strictSame(
    subscriber.data,
    Array.from({ length: 30 }, (_, n) => String(n)),
  )
  t.strictSame(subscriber.told('gap'), [])
})
