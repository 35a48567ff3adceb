/** Subscriptions with a real hub. */
import t from 'tap'
import type { Gap, HubEvent } from 'fanfare-client'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants, clientOf, Collected, dataOf, States } from './hubs.js'

await t.test('a subscription gets each event once, with its topic, type, time and payload', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  const states = new States()
  const received = new Collected<HubEvent>()
  const stop = client.subscribe('orders.*', received.add, { onState: states.add })
  await states.reach('live')
  const receipt = await client.publish('orders.42', { type: 'created', data: { total: 12 } })
  await client.publish('orders.43', { text: 'a\nb', attributes: { traceparent: 'x' } })
  await client.publish('orders.44', { data: null, ephemeral: true })
  const [first, second, third] = await received.count(3)
  t.match(first, { id: receipt.id, topic: 'orders.42', type: 'created', data: { total: 12 } })
  t.ok(Date.parse(first!.time) > 0)
  t.match(second, { topic: 'orders.43', text: 'a\nb', attributes: { traceparent: 'x' } })
  t.match(third, { id: null, topic: 'orders.44', data: null })
  const connection = new States()
  client.on('state', connection.add)
  stop()
  t.match(states.items.at(-1), { status: 'closed', reason: 'stopped' })
  await connection.reach('closed', 'idle')
})

await t.test('all subscriptions share one connection, whatever they begin with', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  for (let n = 0; n < 20; n++) await client.publish(`topics.${n % 4}`, { data: n })
  const lists = [
    new Collected<HubEvent>(),
    new Collected<HubEvent>(),
    new Collected<HubEvent>(),
    new Collected<HubEvent>(),
  ]
  const states = [new States(), new States(), new States(), new States()]
  client.subscribe('topics.0', lists[0]!.add, { onState: states[0]!.add })
  client.subscribe('topics.*', lists[1]!.add, { from: 'start', onState: states[1]!.add })
  client.subscribe(['topics.1', 'topics.2'], lists[2]!.add, { replay: 4, onState: states[2]!.add })
  client.subscribe('topics.3', lists[3]!.add, { replay: 'latest', type: 'x', onState: states[3]!.add })
  await Promise.all(states.map((one) => one.reach('live')))
  for (let n = 20; n < 40; n++) await client.publish(`topics.${n % 4}`, { data: n, ...(n % 2 ? { type: 'x' } : {}) })
  await lists[0]!.count(5)
  await lists[1]!.count(40)
  await lists[2]!.count(14)
  await lists[3]!.count(5)
  t.strictSame(dataOf(lists[0]!.items), [20, 24, 28, 32, 36])
  t.strictSame(
    dataOf(lists[1]!.items),
    Array.from({ length: 40 }, (_, n) => n),
  )
  t.strictSame(dataOf(lists[2]!.items), [
    13,
    14,
    17,
    18,
    ...Array.from({ length: 20 }, (_, n) => n + 20).filter((n) => n % 4 === 1 || n % 4 === 2),
  ])
  t.strictSame(dataOf(lists[3]!.items), [23, 27, 31, 35, 39], 'the newest event was of another type')
  t.equal(((await fetch(`${hub.url}/status`).then((answer) => answer.json())) as { clients: number }).clients, 1)
})

await t.test('a subscription begins behind a cursor, and at a time', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  const receipts = []
  for (let n = 0; n < 3; n++) receipts.push(await client.publish('a', { data: n }))
  const behind = new Collected<HubEvent>()
  const since = new Collected<HubEvent>()
  client.subscribe('a', behind.add, { from: receipts[0]!.id! })
  client.subscribe('a', since.add, { from: new Date(Date.now() - 60_000) })
  t.strictSame(dataOf(await behind.count(2)), [1, 2])
  t.strictSame(dataOf(await since.count(3)), [0, 1, 2])
})

await t.test('a gap is told before the events that follow it', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '5' })
  const client = clientOf(t, hub.url)
  const first = await client.publish('a', { data: 0 })
  for (let n = 1; n < 20; n++) await client.publish('a', { data: n })
  const told = new Collected<Gap | HubEvent>()
  client.subscribe('a', told.add, { from: first.id!, onGap: told.add })
  const [gap, ...events] = await told.count(6)
  t.match(gap, { reason: 'expired', after: first.id })
  t.strictSame(dataOf(events as HubEvent[]), [15, 16, 17, 18, 19])

  const gaps = new Collected<unknown>()
  client.on('gap', gaps.add)
  client.subscribe('a', () => undefined, { from: 'start' })
  t.match((await gaps.count(1))[0], { reason: 'expired', patterns: ['a'] }, 'without onGap the client tells')
})

await t.test('a refused subscription is told why, and the others go on', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url, { token: anyGrants({ subscribe: ['orders.*'] }) })
  const received = new Collected<HubEvent>()
  const errors = new Collected<unknown>()
  const states = new States()
  client.subscribe('secret', () => undefined, { onError: errors.add })
  client.subscribe('orders.1', received.add, { onState: states.add })
  t.match((await errors.count(1))[0], { name: 'HubError', code: 'not-granted', status: 403 })
  await states.reach('live')
  const late = new Collected<unknown>()
  client.on('error', late.add)
  client.subscribe('secret.**', () => undefined)
  client.subscribe('not a topic', () => undefined)
  await late.count(2)
  t.match(late.items.map((error) => (error as { code: string }).code).sort(), ['invalid-pattern', 'not-granted'])
  await client.publish('orders.1', { data: 1 })
  t.strictSame(dataOf(await received.count(1)), [1])
})

await t.test('a refused token is final', async (t) => {
  const hub = await startHub(t)
  let calls = 0
  const client = clientOf(t, hub.url, { token: () => `x.y.${++calls}` })
  const errors = new Collected<unknown>()
  client.subscribe('a', () => undefined, { onError: errors.add })
  t.match((await errors.count(1))[0], { name: 'HubError', code: 'malformed-token', status: 401 })
  t.equal(calls, 2, 'another token was asked for once')
  t.match(client.state, { status: 'closed' })
  await t.rejects(client.publish('a', { data: 1 }), { name: 'HubError', status: 401 })
})
