/** Forks of finite topics. */
import t from 'tap'
import type { FiniteTopics, Message } from '../../../src/hub/finite/finite-topic.js'
import { openHub } from '../open-hub.js'

const TEXT = { contentType: 'text/plain' }

const say = (...texts: string[]): { messages: Message[] } => ({
  messages: texts.map((payload) => ({ kind: 'text', payload })),
})

async function textOf(finite: FiniteTopics, topic: string, after = 0): Promise<string> {
  const texts: string[] = []
  for (let position = after, isUpToDate = false; !isUpToDate;) {
    const page = await finite.read(topic, position, 2)
    for (const { kind, payload } of page.messages)
      texts.push(kind === 'bytes' ? Buffer.from(payload, 'base64').toString() : payload)
    position = page.next
    isUpToDate = page.isUpToDate
  }
  return texts.join('|')
}

await t.test('a fork inherits the messages up to an offset, and has its own after them', async (t) => {
  const { hub } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT)
  const { topic: a } = await finite.append('a', {
    ...say('1', '2'),
    producer: { id: 'p', epoch: 4, seq: 0 },
    order: 'z',
  })
  await finite.append('a', say('3'))
  const { topic, created } = await finite.create('f', { fork: { source: 'a', offset: a.tail } })
  t.equal(created, true)
  t.match(topic, { tail: a.tail, size: 0, contentType: 'text/plain', fork: { source: 'a', offset: a.tail } })
  t.equal(await textOf(finite, 'f'), '1|2')
  await finite.append('a', { ...say('4'), end: 'done' })
  await finite.append('f', { ...say('own'), producer: { id: 'p', epoch: 0, seq: 0 }, order: 'a' })
  t.equal(await textOf(finite, 'f'), '1|2|own')
  t.equal(await textOf(finite, 'f', 1), '2|own')
  t.equal(await textOf(finite, 'a'), '1|2|3|4')
  t.match(await finite.create('f', { fork: { source: 'a', offset: a.tail } }), { created: false })
  await t.rejects(finite.create('f', { fork: { source: 'a', offset: 1 } }), { code: 'stream-exists' })
  t.match(
    (await finite.create('tail', { fork: { source: 'a' } })).topic,
    { status: 'open' },
    'of a topic that has ended',
  )
  t.equal(await textOf(finite, 'tail'), '1|2|3|4')
  await finite.create('g', { fork: { source: 'f' } }, say('g'))
  await finite.append('f', say('later'))
  t.equal(await textOf(finite, 'g'), '1|2|own|g')
  t.equal(await textOf(finite, 'f'), '1|2|own|later')
  await finite.create('empty', { fork: { source: 'a', offset: 0 } })
  t.equal(await textOf(finite, 'empty'), '')
})

await t.test('a sub-offset counts messages of JSON, and bytes of other messages', async (t) => {
  const { hub } = await openHub(t)
  const { finite } = hub
  const numbers: Message[] = [1, 2, 3].map((n) => ({ kind: 'json', payload: String(n) }))
  await finite.create('json', { contentType: 'application/json' }, { messages: numbers })
  await finite.create('two', { fork: { source: 'json', offset: 1, sub: 1 } })
  t.equal(await textOf(finite, 'two'), '1|2')
  await t.rejects(finite.create('x', { fork: { source: 'json', offset: 1, sub: 3 } }), { code: 'invalid-offset' })
  await finite.create('text', TEXT, say('zwölf', 'more'))
  t.equal(await textOf(finite, 'text'), 'zwölf|more')
  const first = (await finite.read('text', 0, 1)).messages[0]!.sequence
  await finite.create('b', { fork: { source: 'text', offset: first - 1, sub: 2 } }, say('end'))
  t.equal(await textOf(finite, 'b'), 'zw|end')
  await finite.create('c', { fork: { source: 'text', offset: first - 1, sub: 3 } })
  t.match((await finite.read('c', 0, 9)).messages, [{ kind: 'bytes' }], 'a part of a character')
  await finite.create('d', { fork: { source: 'text', offset: first - 1, sub: 6 } })
  t.equal(await textOf(finite, 'd'), 'zwölf')
  await t.rejects(finite.create('x', { fork: { source: 'text', offset: first - 1, sub: 7 } }), {
    code: 'invalid-offset',
  })
  await t.rejects(finite.create('x', { fork: { source: 'text', sub: 1 } }), { code: 'invalid-offset' })
  t.match(await finite.create('b', { fork: { source: 'text', offset: first - 1, sub: 2 } }), { created: false })
})

await t.test('a fork has the expiry of its source, unless it has its own', async (t) => {
  const { hub } = await openHub(t)
  const { finite } = hub
  const at = Date.now() + 100_000
  await finite.create('ttl', { ...TEXT, ttl: 5_000 })
  await finite.create('at', { ...TEXT, expiresAt: at })
  const config = async (name: string, source: string, own: { ttl?: number; expiresAt?: number } = {}) =>
    (await finite.create(name, { fork: { source }, ...own })).topic
  t.match(await config('a', 'ttl'), { ttl: 5_000, expiresAt: undefined })
  t.match(await config('b', 'at'), { ttl: undefined, expiresAt: at })
  t.match(await config('c', 'ttl', { expiresAt: at + 1 }), { ttl: undefined, expiresAt: at + 1 })
  t.match(await config('d', 'at', { ttl: 1_000 }), { ttl: 1_000, expiresAt: undefined })
})

await t.test('an invalid source is refused', async (t) => {
  const { hub } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT, say('1'))
  await t.rejects(finite.create('f', { fork: { source: 'never' } }), { code: 'stream-not-found' })
  await t.rejects(finite.create('f', { fork: { source: 'a', offset: 9 } }), { code: 'invalid-offset' })
  await t.rejects(finite.create('f', { fork: { source: 'a', sub: -1 } }), { code: 'invalid-offset' })
  await t.rejects(finite.create('f', { contentType: 'text/html', fork: { source: 'a' } }), {
    code: 'content-type-mismatch',
  })
})

await t.test('a deleted source is kept for its forks, and goes with the last one', async (t) => {
  const { hub, log } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT, say('1'))
  await finite.create('f', { fork: { source: 'a' } }, say('2'))
  await finite.create('g', { fork: { source: 'f' } }, say('3'))
  await finite.delete('a')
  t.match(await finite.get('a'), { isDeleted: true })
  const works: (() => Promise<unknown>)[] = [
    () => finite.append('a', say('x')),
    () => finite.read('a', 0, 1),
    () => finite.cancel('a'),
    () => finite.delete('a'),
  ]
  for (const work of works)
    await t.rejects(
      work().then(() => undefined),
      { code: 'stream-gone' },
    )
  await t.rejects(finite.create('a', TEXT), { code: 'stream-exists' })
  await t.rejects(finite.create('h', { fork: { source: 'a' } }), { code: 'fork-source-gone' })
  await finite.delete('f')
  t.equal(await textOf(finite, 'g'), '1|2|3')
  await finite.delete('g')
  for (const name of ['a', 'f', 'g'])
    while (await finite.get(name)) await new Promise((resolve) => setTimeout(resolve, 5))
  while ((await log.records.list('')).length > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.match(log.view.stats(), { events: 0 })
  t.match(await finite.create('a', TEXT), { created: true })
})
