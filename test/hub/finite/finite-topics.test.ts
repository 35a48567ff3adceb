/** Finite topics of one process. */
import t, { type Test } from 'tap'
import type { FiniteTopics, Message } from '../../../src/hub/finite/finite-topic.js'
import type { HubOptions } from '../../../src/hub/hub.js'
import type { Retention } from '../../../src/log/log.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { poll } from '../../helper/deadline.js'
import { openHub, openHubOn } from '../open-hub.js'

const TEXT = { contentType: 'text/plain' }
const JSON_TYPE = { contentType: 'application/json' }

const say = (...texts: string[]): { messages: Message[] } => ({
  messages: texts.map((payload) => ({ kind: 'text', payload })),
})

async function open(t: Test, options: Partial<HubOptions> = {}, retention: Partial<Retention> = {}) {
  const opened = await openHub(t, options, retention)
  return { ...opened, finite: opened.hub.finite }
}

/** Waits until a condition holds. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  await poll(
    async () => ((await holds()) ? true : undefined),
    () => String(holds),
  )
}

async function textOf(finite: FiniteTopics, topic: string, after = 0): Promise<string> {
  const { messages } = await finite.read(topic, after, Infinity)
  return messages.map(({ payload }) => payload).join('')
}

await t.test('a topic is created, appended to, read and ended', async (t) => {
  const { finite, hub } = await open(t)
  await hub.publish('other', { data: 1 })
  const { topic, created } = await finite.create('a.b', { ...TEXT, ttl: 5_000 }, { createdBy: 'u1' })
  t.equal(created, true)
  t.match(topic, { topic: 'a.b', tail: 1, status: 'open', size: 0, createdBy: 'u1', ttl: 5_000, isDeleted: false })
  t.match(topic.incarnation, /^[a-z0-9]{12}$/)
  const { topic: after } = await finite.append('a.b', say('Hel', 'lo'))
  t.match(after, { tail: 3, size: 5, status: 'open' })
  t.match(await finite.read('a.b', 0, Infinity), {
    messages: [
      { sequence: 2, payload: 'Hel' },
      { sequence: 3, payload: 'lo' },
    ],
    next: 3,
    isUpToDate: true,
  })
  t.match(await finite.read('a.b', 0, 1), { messages: [{ sequence: 2 }], next: 2, isUpToDate: false })
  t.match((await finite.append('a.b', { ...say('!'), end: 'done' })).topic, { tail: 4, status: 'done', size: 6 })
  t.match(await finite.read('a.b', 4, Infinity), { messages: [], next: 4, isUpToDate: true, topic: { status: 'done' } })
  await t.rejects(finite.append('a.b', say('more')), { code: 'stream-closed', topic: { tail: 4, status: 'done' } })
  t.match(await finite.append('a.b', { messages: [], end: 'done' }), { duplicate: false, topic: { status: 'done' } })
})

await t.test('a repeated creation finds the topic, and a creation with another configuration is refused', async (t) => {
  const { finite } = await open(t)
  const { topic } = await finite.create('a', { ...TEXT, ttl: 5_000 })
  t.match(await finite.create('a', { ...TEXT, ttl: 5_000 }), {
    created: false,
    topic: { incarnation: topic.incarnation },
  })
  for (const config of [TEXT, { ...JSON_TYPE, ttl: 5_000 }, { ...TEXT, ttl: 6_000 }, { ...TEXT, coalesce: 1 }])
    await t.rejects(finite.create('a', config), { code: 'stream-exists' })
  await t.rejects(finite.create('a', { ...TEXT, ttl: 5_000 }, { end: 'done' }), { code: 'stream-exists' })
  await finite.append('a', { messages: [], end: 'done' })
  t.match(await finite.create('a', { ...TEXT, ttl: 5_000 }, { end: 'done' }), { created: false })
  await t.rejects(finite.create('a', { ...TEXT, ttl: 5_000 }), { code: 'stream-exists' })
  t.match(await finite.create('whole', TEXT, { ...say('all'), end: 'done' }), {
    created: true,
    topic: { status: 'done', size: 3 },
  })
  const many = await Promise.all(Array.from({ length: 8 }, () => finite.create('many', TEXT, say('x'))))
  t.equal(many.filter(({ created }) => created).length, 1)
  t.equal(await textOf(finite, 'many'), 'x')
})

await t.test('invalid configurations and unknown topics are refused', async (t) => {
  const { finite, hub } = await open(t)
  t.throws(() => void finite.create('no topic', TEXT), { code: 'invalid-topic' })
  t.throws(() => void finite.create('fanfare.stats', TEXT), { code: 'reserved-topic' })
  for (const config of [
    { contentType: '' },
    { ...TEXT, ttl: -1 },
    { ...TEXT, ttl: NaN },
    { ...TEXT, ttl: 1, expiresAt: 1 },
    { ...TEXT, coalesce: -1 },
  ])
    await t.rejects(finite.create('a', config), { code: 'invalid-stream' })
  await hub.publish('used', { data: 1 })
  await t.rejects(finite.create('used', TEXT), { code: 'stream-exists', message: /Purge/ })
  t.equal(await finite.get('a'), undefined)
  const works: (() => Promise<unknown>)[] = [
    () => finite.append('a', say('x')),
    () => finite.read('a', 0, 1),
    () => finite.cancel('a'),
    () => finite.delete('a'),
  ]
  for (const work of works)
    await t.rejects(
      work().then(() => undefined),
      { code: 'stream-not-found' },
    )
})

await t.test('a plain publish to a finite topic is refused', async (t) => {
  const { finite, hub } = await open(t)
  await finite.create('a', TEXT)
  await t.rejects(hub.publish('a', { data: 1 }), { code: 'finite-topic', index: undefined })
  const batch = [
    { topic: 'b', data: 1 },
    { topic: 'a', data: 1 },
  ]
  await t.rejects(hub.publishAll(batch), { code: 'finite-topic', index: 1 })
  t.equal(hub.head, 0)
  await finite.delete('a')
  t.match(await hub.publish('a', { data: 1 }), { duplicate: false })
})

await t.test('the appends of a producer are stored once and in order', async (t) => {
  const { finite } = await open(t)
  await finite.create('a', TEXT)
  const produce = (epoch: number, seq: number, text: string, end?: 'done') =>
    finite.append('a', { ...say(text), producer: { id: 'p', epoch, seq }, end })
  await t.rejects(produce(0, 1, 'x'), { code: 'producer-gap', expected: 0 })
  t.match(await produce(0, 0, '0'), { duplicate: false, producer: { epoch: 0, seq: 0 } })
  const pipelined = await Promise.all([produce(0, 1, '1'), produce(0, 1, '1'), produce(0, 2, '2')])
  t.strictSame(
    pipelined.map(({ duplicate }) => duplicate),
    [false, true, false],
  )
  t.match(await produce(0, 0, '0'), { duplicate: true, producer: { epoch: 0, seq: 2 } })
  await t.rejects(produce(0, 4, 'x'), { code: 'producer-gap', expected: 3 })
  await t.rejects(produce(1, 1, 'x'), { code: 'invalid-producer' })
  await t.rejects(produce(-1, 0, 'x'), { code: 'invalid-producer' })
  await produce(2, 0, 'a')
  await t.rejects(produce(1, 0, 'x'), { code: 'producer-fenced', expected: 2 })
  await finite.append('a', { ...say('q'), producer: { id: 'q', epoch: 7, seq: 0 } })
  const ends = await Promise.all([produce(2, 1, 'e', 'done'), produce(2, 1, 'e', 'done')])
  t.strictSame(
    ends.map(({ duplicate }) => duplicate),
    [false, true],
  )
  t.match(await produce(2, 1, 'e', 'done'), { duplicate: true, topic: { status: 'done' } })
  await t.rejects(produce(2, 0, 'a'), { code: 'stream-closed' })
  t.equal(await textOf(finite, 'a'), '012aqe')
})

await t.test('an append with a wrong order, content type or size is refused', async (t) => {
  const { finite } = await open(t, { maxEventSize: 10, maxStreamSize: 20 })
  await finite.create('a', TEXT)
  await finite.append('a', { ...say('1'), order: 'b' })
  for (const order of ['a', 'b', 'B'])
    await t.rejects(finite.append('a', { ...say('x'), order }), { code: 'order-regression' })
  await finite.append('a', { ...say('2'), order: 'ba' })
  await finite.append('a', say('3'))
  await t.rejects(finite.append('a', { ...say('x'), contentType: 'text/html' }), { code: 'content-type-mismatch' })
  await finite.append('a', { ...say('4'), contentType: 'text/plain' })
  await t.rejects(finite.append('a', say('x'.repeat(11))), { code: 'event-too-large' })
  await t.rejects(finite.append('a', say('x'.repeat(10), 'x'.repeat(7))), { code: 'stream-too-large' })
  await finite.append('a', say('x'.repeat(10), 'x'.repeat(6)))
  await t.rejects(finite.append('a', say('x')), { code: 'stream-too-large' })
  t.match((await finite.append('a', { messages: [], end: 'done' })).topic, { size: 20 }, 'a full topic can end')
})

await t.test('all finite topics together take a limited part of the log', async (t) => {
  const { finite } = await open(t, { streamRoom: 5_000 })
  await finite.create('a', TEXT)
  await t.rejects(finite.append('a', say('x'.repeat(5_000))), { code: 'streams-full' })
  await finite.append('a', say('x'.repeat(3_800)))
  await t.rejects(
    finite.create('b', TEXT).then(() => finite.create('c', TEXT)),
    { code: 'streams-full' },
  )
  await t.rejects(finite.append('a', say('x')), { code: 'streams-full' })
  await finite.delete('a')
  await finite.create('c', TEXT)
  await finite.append('c', say('x'))
})

await t.test('a cancelled topic refuses its writer', async (t) => {
  const { finite } = await open(t)
  await finite.create('a', TEXT)
  await finite.append('a', say('x'))
  t.match(await finite.cancel('a'), { status: 'cancelled', tail: 1 })
  t.match(await finite.cancel('a'), { status: 'cancelled' })
  await t.rejects(finite.append('a', say('y')), { code: 'cancelled' })
  await finite.create('b', TEXT, { end: 'done' })
  t.match(await finite.cancel('b'), { status: 'done' }, 'a topic that has ended stays as it is')
})

await t.test('a deleted topic leaves nothing behind, and can be created again', async (t) => {
  const { finite, log } = await open(t)
  const { topic } = await finite.create('a', TEXT)
  await finite.append('a', { ...say('x'), producer: { id: 'p', epoch: 3, seq: 0 } })
  await finite.delete('a')
  t.equal(await finite.get('a'), undefined)
  t.strictSame(await log.records.list(''), [])
  t.match(log.view.stats(), { events: 0, topics: 0 })
  await t.rejects(finite.delete('a'), { code: 'stream-not-found' })
  const { topic: again } = await finite.create('a', TEXT)
  t.not(again.incarnation, topic.incarnation)
  t.match(await finite.read('a', 0, Infinity), { messages: [], isUpToDate: true })
  await finite.append('a', { ...say('y'), producer: { id: 'p', epoch: 0, seq: 0 } })
  t.equal(await textOf(finite, 'a'), 'y')
})

await t.test('a wait ends with a message, the end or the removal of the topic, or its signal', async (t) => {
  const { finite } = await open(t)
  await finite.create('a', TEXT)
  const { signal } = new AbortController()
  const message = finite.wait('a', 0, signal)
  const { topic } = await finite.append('a', say('x'))
  await message
  await finite.wait('a', 0, signal)
  const aborting = new AbortController()
  const aborted = finite.wait('a', topic.tail, aborting.signal)
  aborting.abort()
  await aborted
  const end = finite.wait('a', topic.tail, signal)
  await finite.append('a', { messages: [], end: 'done' })
  await end
  await finite.wait('a', 1e9, signal)
  await finite.create('b', TEXT)
  const removal = finite.wait('b', 1e9, signal)
  await finite.delete('b')
  await removal
  await finite.wait('never', 0, signal)
})

await t.test('a topic expires after a time without reads and appends', async (t) => {
  const { finite, log } = await open(t, { streamTtl: 150 })
  await finite.create('ttl', { ...TEXT, ttl: 300 })
  await finite.create('at', { ...TEXT, expiresAt: Date.now() + 100 })
  await finite.create('default', TEXT, say('x'))
  await finite.create('now', { ...TEXT, ttl: 0 })
  t.equal(await finite.get('now'), undefined)
  const began = Date.now()
  await eventually(async () => (await finite.get('at')) === undefined)
  t.ok(Date.now() - began < 300)
  await eventually(async () => {
    if (await finite.get('ttl')) await finite.read('ttl', 0, 1)
    return (await finite.get('default')) === undefined
  })
  while (Date.now() - began < 450) await finite.read('ttl', 0, 1)
  t.ok(await finite.get('ttl'), 'reads keep the topic alive')
  await eventually(async () => (await finite.get('ttl')) === undefined)
  await eventually(async () => (await log.records.list('')).length === 0)
  t.match(log.view.stats(), { events: 0 })
})

await t.test('a writer that disappears ends its topic with an error', async (t) => {
  const { finite } = await open(t)
  await finite.create('a', TEXT)
  await finite.append('a', { ...say('x'), lease: 300 })
  const began = Date.now()
  // twice the lease passes, and each append renews it
  while (Date.now() - began < 600) {
    await finite.append('a', { messages: [] })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  t.match(await finite.get('a'), { status: 'open' })
  await eventually(async () => (await finite.get('a'))?.status === 'error')
  await t.rejects(finite.append('a', { messages: [] }), { code: 'stream-closed' })
})

await t.test('many topics expire, and leave nothing behind', async (t) => {
  const { finite, log, errors } = await open(t, { streamTtl: 10 })
  const count = 10_000
  for (let n = 0; n < count; n += 500) {
    const some = Array.from({ length: 500 }, (_, m) => `t.${n + m}`)
    await Promise.all(
      some.map((topic) => finite.create(topic, TEXT, { ...say('x'), end: 'done' }).catch(() => undefined)),
    )
  }
  await eventually(async () => (await log.records.list('')).length === 0)
  t.match(log.view.stats(), { events: 0, topics: 0 })
  t.equal(finite.coalesceOf('t.1'), undefined)
  t.equal(finite.size, 0)
  t.strictSame(errors, [])
})

await t.test('a topic cannot live longer than the log keeps events', async (t) => {
  const { finite } = await open(t, { longestStreamTtl: 1_000 })
  await t.rejects(finite.create('a', { ...TEXT, ttl: 2_000 }), { code: 'invalid-stream' })
  await t.rejects(finite.create('a', { ...TEXT, expiresAt: Date.now() + 2_000 }), { code: 'invalid-stream' })
  await finite.create('a', { ...TEXT, ttl: 1_000 })
})

await t.test('a topic of another epoch of the log is gone, and its record is removed', async (t) => {
  const { finite, log } = await open(t)
  const { topic } = await finite.create('a', TEXT)
  const record = (await log.records.get('finite/a')) as object
  await log.records.put('finite/b', { ...record, epoch: 'otherlog' })
  t.equal(await finite.get('b'), undefined)
  await t.rejects(finite.append('b', say('x')), { code: 'stream-not-found' })
  await eventually(async () => (await log.records.get('finite/b')) === undefined)
  t.match(await finite.create('b', TEXT), { created: true })
  t.match(await finite.get('a'), { incarnation: topic.incarnation })
  t.equal(log.view.head, 0, 'no end is written')
})

await t.test('a wait ends when the hub closes', async (t) => {
  const { finite, hub } = await open(t)
  await finite.create('a', TEXT)
  const waiting = finite.wait('a', 0, new AbortController().signal)
  await hub.close()
  await waiting
  t.throws(() => void finite.create('b', TEXT), { code: 'hub-closed' })
})

await t.test('the limit of topics refuses creations, and does not affect existing topics', async (t) => {
  const { hub } = await openHub(t, { maxTopics: 3 }, { topics: 3 })
  const { finite } = hub
  await hub.publish('ordinary', { data: 1 })
  await finite.create('a', TEXT)
  await finite.create('b', TEXT, say('1'))
  await t.rejects(finite.create('c', TEXT), { code: 'too-many-topics' }, 'an empty topic counts too')
  t.match(await finite.create('a', TEXT), { created: false })
  await hub.publish('another', { data: 1 }) // the limit of the log does not count the empty topic
  await t.rejects(finite.create('c', TEXT), { code: 'too-many-topics' })
  await finite.append('a', { ...say('1'), end: 'done' })
  await finite.delete('b')
  await hub.purge('another')
  t.match(await finite.create('c', TEXT), { created: true })
})

await t.test('a request sees every change that another process stored before it', async (t) => {
  const log = Object.assign(new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 }), {
    catchUp: async () => undefined,
  })
  const { hub } = await openHubOn(t, log)
  const caughtUp: (() => void)[] = []
  log.catchUp = () => new Promise((resolve) => caughtUp.push(() => resolve(undefined)))
  const first = hub.finite.get('a')
  await poll(
    async () => caughtUp[0],
    () => 'the first request does not catch up',
  )
  const second = hub.finite.get('a')
  caughtUp[0]!()
  await first
  const next = await poll(
    async () => caughtUp[1],
    () => 'the second request uses the answer to the first',
  )
  next()
  t.equal(await second, undefined)
})
