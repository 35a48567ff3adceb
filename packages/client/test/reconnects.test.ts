/** Subscriptions over connections that are cut, and with a hub that is killed: each event once, in order. */
import t from 'tap'
import type { HubEvent } from 'fanfare-client'
import { matches } from '../../../test/helper/oracle.js'
import { startHub } from '../../../test/helper/process.js'
import { random as seeded } from '../../../test/helper/random.js'
import { revivingHub } from '../../../test/helper/reviving-hub.js'
import { networkTo } from '../../../test/helper/network.js'
import { cuttingProxy } from './cutting-proxy.js'
import { anyGrants, clientOf, Collected, dataOf, States } from './hubs.js'

const TOPICS = ['a.1', 'a.2', 'b.1', 'b.2']
const PATTERNS = [['a.*'], ['**'], ['a.1'], ['b.2', 'a.2'], ['b.*', 'a.1']]

interface Published {
  topic: string
  data: number
}

function due(published: readonly Published[], patterns: readonly string[]): number[] {
  return published.filter(({ topic }) => matches(patterns, topic)).map(({ data }) => data)
}

for (const seed of [1, 2, 3]) {
  await t.test(`a proxy that cuts at random bytes, seed ${seed}`, async (t) => {
    const random = seeded(seed)
    const hub = await startHub(t)
    const proxy = await cuttingProxy(t, hub.url, random, 4_000)
    const client = clientOf(t, proxy.url, { maxWait: 20 })
    const published: Published[] = []
    const whole: { patterns: string[]; received: Collected<HubEvent> }[] = []
    const parts: { patterns: string[]; received: Collected<HubEvent> }[] = []
    for (let data = 0; data < 300; data++) {
      const topic = random.pick(TOPICS)
      await client.publish(topic, { data })
      published.push({ topic, data })
      if (random.below(20) > 1) continue
      const subscription = { patterns: random.pick(PATTERNS), received: new Collected<HubEvent>() }
      const isWhole = random.below(2) === 1
      client.subscribe(subscription.patterns, subscription.received.add, isWhole ? { from: 'start' } : {})
      ;(isWhole ? whole : parts).push(subscription)
    }
    proxy.stopCutting()
    await client.publish('a.1', { data: 300 })
    await client.publish('a.2', { data: 301 })
    published.push({ topic: 'a.1', data: 300 }, { topic: 'a.2', data: 301 })
    for (const { patterns, received } of [...whole, ...parts]) {
      const expected = due(published, patterns)
      const last = expected.at(-1)
      await received.until((events) => events.at(-1)?.data === last)
      const found = dataOf(received.items)
      if (whole.some((one) => one.received === received))
        t.strictSame(found, expected, `${patterns.join()}, from the start`)
      else t.strictSame(found, expected.slice(-found.length), `${patterns.join()}, from some event on`)
    }
    t.ok(proxy.cuts > 10, `${proxy.cuts} cuts`)
    t.ok(whole.length + parts.length > 3, `${whole.length} and ${parts.length} subscriptions`)
  })
}

await t.test('a hub that is killed and restarted', async (t) => {
  const random = seeded(7)
  const reviving = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
  const client = clientOf(t, reviving.url)
  const received = PATTERNS.map(() => new Collected<HubEvent>())
  const states = new States()
  PATTERNS.forEach((patterns, i) =>
    client.subscribe(patterns, received[i]!.add, { from: 'start', onState: states.add }),
  )
  await states.reach('live')
  const published: Published[] = []
  for (let data = 0; data < 120; data++) {
    const topic = TOPICS[data % 4]!
    const receipt = client.publish(topic, { data })
    published.push({ topic, data })
    if (data % 40 === 20) {
      await reviving.kill()
      await states.reach('waiting')
      await reviving.start()
    }
    await receipt
    if (random.below(30) === 1) await received[1]!.until((events) => events.at(-1)?.data === data)
  }
  for (const [i, patterns] of PATTERNS.entries()) {
    const expected = due(published, patterns)
    await received[i]!.count(expected.length)
    t.strictSame(dataOf(received[i]!.items), expected, String(patterns))
  }
})

await t.test('a hub that begins a new log is a gap, and the events of the new log follow', async (t) => {
  const reviving = await revivingHub(t, { FANFARE_LOG: 'memory' })
  const client = clientOf(t, reviving.url)
  const told = new Collected<unknown>()
  const states = new States()
  client.subscribe('a', ({ data }) => told.add(data), { onGap: ({ reason }) => told.add(reason), onState: states.add })
  await states.reach('live')
  await client.publish('a', { data: 1 })
  await told.count(1)
  await reviving.kill()
  await reviving.start()
  await client.publish('a', { data: 2 })
  t.strictSame(await told.count(3), [1, 'epoch', 2])
})

await t.test('a stream without a byte is opened again', async (t) => {
  const hub = await startHub(t, { FANFARE_HEARTBEAT: '200ms' })
  const network = await networkTo(t, hub.url)
  const pieces = new Collected<string>()
  const client = clientOf(t, network.url, {
    async fetch(input, init) {
      const response = await fetch(input, init)
      const decoder = new TextDecoder()
      const watched = new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          pieces.add(decoder.decode(piece, { stream: true }))
          controller.enqueue(piece)
        },
      })
      return new Response(response.body?.pipeThrough(watched) ?? null, response)
    },
  })
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { onState: states.add })
  await states.reach('live')
  await client.publish('a', { data: 1 })
  await received.count(1)
  await pieces.until((all) => all.at(-1)?.includes('fanfare.heartbeat') === true)
  network.stall()
  const publisher = clientOf(t, hub.url)
  await publisher.publish('a', { data: 2 })
  t.strictSame(dataOf(await received.count(2)), [1, 2])
})

await t.test('a token is renewed before it expires, on the open stream', async (t) => {
  const hub = await startHub(t)
  let tokens = 0
  const client = clientOf(t, hub.url, {
    token: () => (tokens++, anyGrants({ exp: Date.now() / 1_000 + 3 })),
  })
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { onState: states.add })
  await states.reach('live')
  const publisher = clientOf(t, hub.url)
  for (let n = 0; tokens < 4; n++) {
    await publisher.publish('a', { data: n })
    await received.count(n + 1)
  }
  t.strictSame(
    states.items.map(({ status }) => status),
    ['connecting', 'live'],
    'the stream has not been opened again',
  )
})

await t.test('a token that cannot be renewed in time is replaced after the stream has ended', async (t) => {
  const hub = await startHub(t)
  let isDown = false
  let tokens = 0
  const client = clientOf(t, hub.url, {
    token() {
      if (isDown) throw new Error('the issuer is down')
      tokens++
      return anyGrants({ exp: Date.now() / 1_000 + (tokens === 1 ? 2 : 600) })
    },
  })
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { onState: states.add })
  await states.reach('live')
  isDown = true
  const publisher = clientOf(t, hub.url)
  await publisher.publish('a', { data: 1 })
  await states.reach('waiting', 'token')
  await publisher.publish('a', { data: 2 })
  isDown = false
  t.strictSame(dataOf(await received.count(2)), [1, 2])
})
