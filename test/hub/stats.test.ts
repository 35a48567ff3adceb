import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Latency } from '../../src/hub/latency.js'
import { Selection } from '../../src/model/selection.js'
import type { Stats } from '../../src/hub/stats.js'
import type { ConnectionChange } from '../../src/hub/stream-info.js'
import { anybody } from './anybody.js'
import { until, type FakeSink } from './fake-sink.js'
import { openHub } from './open-hub.js'

function statsOf(sink: FakeSink): Stats[] {
  return sink.data.map((data) => JSON.parse(data) as Stats)
}

function changesOf(sink: FakeSink): ConnectionChange[] {
  return sink.data.map((data) => JSON.parse(data) as ConnectionChange)
}

await t.test('the traffic of the hub is reported once a second', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const console = await subscribe(['fanfare.stats'])
  const subscribers = await Promise.all([subscribe(['a']), subscribe(['*'])])
  const stalled = await subscribe(['a'])
  stalled.stall()
  for (let n = 0; n < 10; n++) await hub.publish('a', { text: 'é' })
  await hub.publish('a', { data: 1, ephemeral: true })
  await hub.publish('b', { data: 'unheard' })
  await until(() => console.data.length > 0)
  const [first] = statsOf(console)
  t.match(first, { connections: 4, topics: 2, lagging: 1, log: { events: 11 } })
  const seconds = first!.events.in > 0 ? 12 / first!.events.in : NaN
  t.ok(seconds > 0.9 && seconds < 3, `12 events in ${seconds} s`)
  t.strictSame(
    first!.busiest.map(({ topic, rate }) => [topic, Math.round(rate * seconds)]),
    [
      ['a', 11],
      ['b', 1],
    ],
  )
  t.ok(Math.abs(first!.bytes.in * seconds - (10 * 2 + 1 + 9)) < 3, 'the bytes of the payloads, in UTF-8')
  // 11 events to each subscriber, the first write to the stalled one, 1 event of b; no statistics yet
  t.ok(first!.events.out * seconds >= 24, `${first!.events.out} out`)
  t.ok(first!.bytes.out > first!.bytes.in)
  t.ok(
    first!.latency.p50 > 0 && first!.latency.p99 >= first!.latency.p50 && first!.latency.p99 < 5_000,
    JSON.stringify(first!.latency),
  )
  t.ok(first!.memory > 1e6 && first!.eventLoopDelay >= 0)
  t.ok(Math.abs(Date.parse(first!.time) - Date.now()) < 10_000)

  for (const subscriber of subscribers) subscriber.close()
  await until(() => console.data.length > 1)
  t.match(
    statsOf(console)[1],
    { connections: 2, events: { in: 0 }, busiest: [], latency: { p50: 0, p99: 0 } },
    'the totals keep the events of ended streams',
  )
  t.ok(statsOf(console)[1]!.events.out >= 0)
  t.notOk(console.lastEventId?.includes('ephemeral'), 'the statistics are ephemeral')
})

await t.test(
  'without a subscriber of the statistics, the hub publishes none, and earlier events do not count',
  async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a', '**'])
    await hub.publish('a', { data: 1 })
    const console = await subscribe(['fanfare.stats'])
    await until(() => console.data.length > 0)
    t.equal(statsOf(console)[0]!.events.in, 0, 'earlier events do not count')
    const before = console.data.length
    hub.streams.move(console.stream, new Selection(['a']))
    await new Promise((resolve) => setTimeout(resolve, 1_200)) // longer than the interval of the statistics
    t.equal(console.data.length, before)
    t.strictSame(subscriber.data, ['1'], "a wildcard does not match the hub's topics")
  },
)

await t.test('each open, change and end of a stream is reported', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const console = await subscribe(['fanfare.connections'], { id: 'console', subject: 'root' })
  const told = () =>
    changesOf(console).map(({ change, id, subject, topics, reason }) => [change, id, subject, topics.join(), reason])
  const one = await subscribe(['a', 'b.*'], { id: 'one', subject: 'ann', expiresAt: 4e12 })
  const two = await subscribe(['a'], { id: 'two' })
  hub.streams.move(one.stream, new Selection(['c']))
  hub.streams.renew(one.stream, { ...anybody, subject: 'ann', expiresAt: 5e12 })
  await hub.publish('c', { data: 1 })
  two.close()
  await turn()
  one.stream.end('revoked')
  await until(() => told().length >= 7)
  t.strictSame(told(), [
    ['opened', 'console', 'root', 'fanfare.connections', undefined],
    ['opened', 'one', 'ann', 'a,b.*', undefined],
    ['opened', 'two', null, 'a', undefined],
    ['changed', 'one', 'ann', 'c', undefined],
    ['changed', 'one', 'ann', 'c', undefined],
    ['closed', 'two', null, 'a', 'gone'],
    ['closed', 'one', 'ann', 'c', 'revoked'],
  ])
  const changes = changesOf(console)
  t.equal(changes[1]!.expiresAt, new Date(4e12).toISOString())
  t.equal(changes[4]!.expiresAt, new Date(5e12).toISOString())
  t.match(changes[6], { sent: { events: 1 }, lag: 0, since: /^\d{4}-.*Z$/, cursor: /-1$/ })
})

await t.test('a stream with a closed socket is reported as opened before it is reported as closed', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const console = await subscribe(['fanfare.connections'])
  const dead = await subscribe(['a'], { id: 'dead' })
  dead.onWrite = () => dead.close()
  await hub.publish('a', { data: 1 })
  await until(() => console.data.length === 3)
  t.strictSame(
    changesOf(console)
      .slice(1)
      .map(({ change, id }) => `${change} ${id}`),
    ['opened dead', 'closed dead'],
  )
})

await t.test('latency is recorded once, after the sweep', (t) => {
  const latency = new Latency()
  const now = performance.now()
  latency.begin({ since: now - 20, isSampled: true }, 3)
  latency.begin({ since: now - 10, isSampled: true }, 5)
  t.strictSame(latency.take(), { p50: 0, p99: 0 })
  latency.passed(2)
  t.strictSame(latency.take(), { p50: 0, p99: 0 })
  latency.passed(3)
  const { p50, p99 } = latency.take()
  t.ok(p50 >= 20 && p99 >= 20, `${p50}`)
  latency.passed(Infinity)
  const later = latency.take()
  t.ok(later.p50 >= 10 && later.p50 < 20 + (performance.now() - now), `${later.p50}`)
  latency.passed(Infinity)
  t.strictSame(latency.take(), { p50: 0, p99: 0 })
  t.end()
})
