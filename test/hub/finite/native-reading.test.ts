/** Streams of finite topics, as any EventSource reads them. */
import t from 'tap'
import type { Message } from '../../../src/hub/finite/finite-topic.js'
import type { Hub } from '../../../src/hub/hub.js'
import type { Stream } from '../../../src/hub/stream.js'
import { settle, until } from '../fake-sink.js'
import { openHub, openHubOn } from '../open-hub.js'

const TEXT = { contentType: 'text/plain' }

const say = (...texts: string[]): { messages: Message[] } => ({
  messages: texts.map((payload) => ({ kind: 'text', payload })),
})

await t.test('a stream of a finite topic gets the messages and the end, and ends', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT, say('1'))
  const early = await subscribe(['a'], { from: 'start' })
  await until(() => early.told('live').length === 1)
  await finite.append('a', { ...say('2'), producer: { id: 'p', epoch: 0, seq: 0 }, lease: 60_000, order: 'x' })
  await finite.append('a', { ...say('3'), end: 'done', producer: { id: 'p', epoch: 0, seq: 1 } })
  await until(() => early.isClosed)
  const late = await subscribe(['a'], { from: 'start' })
  await until(() => late.isClosed)
  for (const sink of [early, late]) {
    t.strictSame(sink.data, ['1', '2', '3'])
    t.strictSame(sink.told('end'), [{ status: 'done' }])
    t.strictSame(sink.told('close'), [])
    t.equal(sink.lastEventId, hub.cursor(4))
    t.equal(sink.late, 0)
  }
  const resumed = await subscribe(['a'], { lastEventId: hub.cursor(2) })
  await until(() => resumed.isClosed)
  t.strictSame(resumed.data, ['3'])
})

await t.test('nothing of a note is sent', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT)
  const sinks = await Promise.all(
    (['raw', 'json', 'cloudevents'] as const).map((format) => subscribe(['a'], { format })),
  )
  await finite.append('a', { ...say('1'), producer: { id: 'secret', epoch: 0, seq: 0 }, end: 'error' })
  for (const sink of sinks) {
    await until(() => sink.isClosed)
    t.notMatch(sink.bytes.toString(), /secret|#/)
  }
  t.match(
    sinks[1]!.blocks.flatMap(({ event }) => (event?.type === 'message' ? [JSON.parse(event.data) as unknown] : [])),
    [{ text: '1' }, { type: 'fanfare.end', data: { status: 'error' } }],
  )
  t.match(sinks[2]!.blocks.at(-1)?.event?.data, /"type":"fanfare.end".*"data":\{"status":"error"\}/)
})

await t.test('a start behind the end is known', async (t) => {
  const { hub } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT, { ...say('1'), end: 'done' })
  const { Selection } = await import('../../../src/model/selection.js')
  const start = (request: object, ...patterns: string[]) => hub.streams.locate(new Selection(patterns), request)
  t.match(await start({ lastEventId: hub.cursor(2) }, 'a'), { hasEnded: true })
  t.match(await start({}, 'a'), { hasEnded: true })
  t.notOk((await start({ lastEventId: hub.cursor(1) }, 'a')).hasEnded)
  t.notOk((await start({ from: 'start' }, 'a')).hasEnded)
  t.notOk((await start({ lastEventId: hub.cursor(3) }, 'a')).hasEnded, 'a gap is told')
  t.notOk((await start({ lastEventId: hub.cursor(2) }, 'a', 'b')).hasEnded)
  await finite.create('b', TEXT)
  t.notOk((await start({}, 'b')).hasEnded)
})

await t.test('a stream of several topics gets the end, and goes on', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a.1', TEXT)
  const sinks = [await subscribe(['a.*']), await subscribe(['a.1', 'b'], { types: ['other'] })]
  await finite.append('a.1', { ...say('1'), end: 'done' })
  await hub.publish('a.2', { data: 2 })
  await hub.publish('b', { data: 3, type: 'other' })
  await until(() => sinks[0]!.data.length === 2 && sinks[1]!.data.length === 1)
  for (const sink of sinks) {
    t.strictSame(sink.told('end'), [{ status: 'done' }], 'the end has no filter')
    t.equal(sink.isClosed, false)
  }
})

await t.test('a stream of another type ends too', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.finite.create('a', TEXT)
  const sink = await subscribe(['a'], { types: ['never'] })
  await hub.finite.append('a', { ...say('1'), end: 'done' })
  await until(() => sink.isClosed)
  t.strictSame(sink.data, [])
  t.strictSame(sink.told('end'), [{ status: 'done' }])
})

await t.test('a slow stream gets everything before it ends', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a', TEXT)
  const slow = await subscribe(['a'])
  slow.stall(1)
  const text = 'x'.repeat(100_000)
  for (let n = 0; n < 20; n++) await finite.append('a', say(`${n} ${text}`))
  await finite.append('a', { messages: [], end: 'done' })
  await until(() => slow.isFull)
  slow.drain(3)
  while (!slow.isClosed) {
    await until(() => slow.isFull || slow.isClosed)
    slow.drain(3)
  }
  t.strictSame(
    slow.data.map((data) => parseInt(data)),
    Array.from({ length: 20 }, (_, n) => n),
  )
  t.strictSame(slow.told('end'), [{ status: 'done' }])
})

await t.test('a topic that expires or is deleted ends its streams', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a', { ...TEXT, ttl: 100 })
  const expired = await subscribe(['a'])
  await until(() => expired.isClosed)
  t.strictSame(expired.told('end'), [{ status: 'expired' }])
  await finite.create('b', TEXT)
  const deleted = await subscribe(['b'])
  await finite.delete('b')
  await until(() => deleted.isClosed)
  t.strictSame(deleted.told('end'), [{ status: 'cancelled' }])
  await finite.create('b', TEXT)
  const again = await subscribe(['b'])
  await finite.append('b', { ...say('new'), end: 'done' })
  await until(() => again.isClosed)
  t.strictSame(again.data, ['new'])
})

await t.test('with coalesce the first message is sent at once, and the next ones together', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { finite } = hub
  await finite.create('a', { ...TEXT, coalesce: 150 })
  const sink = await subscribe(['a'])
  await until(() => sink.writes.length > 0)
  const before = sink.writes.length
  const began = performance.now()
  await finite.append('a', say('0'))
  await until(() => sink.data.length === 1)
  t.ok(performance.now() - began < 140)
  for (let n = 1; n < 9; n++) await finite.append('a', say(String(n)))
  await finite.append('a', { messages: [], end: 'done' })
  await until(() => sink.isClosed)
  t.ok(performance.now() - began >= 140)
  t.strictSame(sink.data.join(''), '012345678')
  t.ok(sink.writes.length - before <= 3, 'one write at once, one after the time, and the end')
  t.equal(new Set(sink.blocks.map(({ lastEventId }) => lastEventId)).size, 11, 'each message keeps its id')
})

/** Moves a stream to one topic, as a route does. */
function moveTo(hub: Hub, { stream }: { stream: Stream }, topics: string[], replay = 0): void {
  const selection = stream.feed.selection.of(topics)
  hub.move(stream, selection, replay > 0 ? { selection, count: replay } : undefined)
}

await t.test('a stream that moves to a topic which has ended gets the replay and the end, and ends', async (t) => {
  for (const format of ['raw', 'json'] as const) {
    for (const replay of [0, 1, 2, 9]) {
      const { hub, subscribe } = await openHub(t)
      const sink = await subscribe(['b'], { format })
      await hub.finite.create('a', TEXT, { ...say('1', '2'), end: 'error' })
      await hub.publish('b', { data: 3 })
      await until(() => sink.stream.sequence === 4)
      moveTo(hub, sink, ['a'], replay)
      await until(() => sink.isClosed)
      const last = sink.blocks.at(-1)!
      t.match(last.event?.data, /"status":"error"/)
      t.equal(last.id, hub.cursor(4), 'a reconnect repeats nothing of the other topic')
      const messages = sink.blocks.filter(({ event }) => event?.data.match(/^[12]$|"text":/))
      t.equal(messages.length, Math.min(2, Math.max(0, replay - 1)), 'the end is one of the replayed events')
      t.equal(sink.blocks.filter(({ event }) => event?.data.includes('"status"')).length, 1, 'once')
      t.strictSame(sink.told('close'), [])
      t.equal(sink.late, 0)
      t.equal(hub.connections.size, 0)
      const { Selection } = await import('../../../src/model/selection.js')
      t.match(await hub.locate(new Selection(['a']), { lastEventId: last.id! }), { hasEnded: true })
    }
  }
})

await t.test('a stream that drops all topics but an ended one ends', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const sink = await subscribe(['a', 'b', 'c'])
  await hub.finite.create('a', TEXT, { ...say('1'), end: 'done' })
  await until(() => sink.told('end').length === 1)
  moveTo(hub, sink, ['a', 'c'])
  await until(() => sink.told('open').length === 2)
  t.equal(sink.isClosed, false)
  moveTo(hub, sink, ['a'])
  await until(() => sink.isClosed)
  t.strictSame(sink.told('end'), [{ status: 'done' }, { status: 'done' }])
})

await t.test('a full stream ends once it has room', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.finite.create('a', TEXT, { ...say('1'), end: 'done' })
  const sink = await subscribe(['b'])
  await until(() => sink.stream.state === 'live')
  sink.stall(1)
  await hub.publish('b', { data: 1 })
  await until(() => sink.isFull)
  moveTo(hub, sink, ['a'])
  await settle()
  t.equal(sink.isClosed, false)
  sink.drain()
  await until(() => sink.isClosed)
  t.strictSame(sink.told('end'), [{ status: 'done' }])
})

await t.test('a replayed end has an id on a stream that goes on', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.finite.create('a', TEXT, { ...say('1'), end: 'done' })
  const sink = await subscribe(['b'])
  await hub.publish('b', { data: 2 })
  await until(() => sink.data.length === 1)
  const { selection } = sink.stream.feed
  hub.move(sink.stream, selection.of(['a', 'b']), { selection: selection.of(['a']), count: 5 })
  await until(() => sink.told('end').length === 1)
  t.equal(sink.blocks.find(({ event }) => event?.type === 'fanfare.end')?.id, hub.cursor(3))
  await hub.publish('b', { data: 3 })
  await until(() => sink.data.length === 3)
})

await t.test('a stream that moves to an open finite topic ends with it', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.finite.create('a', TEXT, say('1'))
  const sink = await subscribe(['b'])
  moveTo(hub, sink, ['a'], 1)
  await until(() => sink.data.length === 1)
  await hub.finite.append('a', { ...say('2'), end: 'done' })
  await until(() => sink.isClosed)
  t.strictSame(sink.data, ['1', '2'])
  t.strictSame(sink.told('end'), [{ status: 'done' }])
})

await t.test('a stream ends too if no process has read the topic since the start', async (t) => {
  const { hub, log } = await openHub(t)
  await hub.finite.create('a', TEXT, { ...say('1'), end: 'done' })
  const other = await openHubOn(t, log)
  for (const replay of [0, 1]) {
    const sink = await other.subscribe(['b'])
    moveTo(other.hub, sink, ['a'], replay)
    await until(() => sink.isClosed)
    t.strictSame(sink.told('end'), [{ status: 'done' }])
  }
})
