/** A stream that is given other topics while it is open: in order, without loss, and with nothing that it no longer has. */
import fc from 'fast-check'
import t from 'tap'
import { matches } from '../../src/hub/topic.js'
import type { Hub } from '../../src/hub/hub.js'
import type { Subscriber } from '../../src/hub/subscriber.js'
import { settle, until } from './fake-sink.js'
import { openHub } from './open-hub.js'

/** As a route does it: gives a stream topics, and takes some away. */
async function change(hub: Hub, subscriber: Subscriber, { add = [], drop = [], replay = 0 }: { add?: string[]; drop?: string[]; replay?: number }): Promise<void> {
  const before = subscriber.feed.selection
  const added = before.of(add.filter((pattern) => !before.patterns.includes(pattern)))
  const past = replay > 0 && added.patterns.length > 0 ? { selection: added, after: await hub.beforeUnseen(added, replay, subscriber) } : undefined
  const topics = [...subscriber.feed.selection.patterns, ...add].filter((pattern) => !drop.includes(pattern))
  hub.move(subscriber, subscriber.feed.selection.of(topics), past)
}

await t.test('an added topic is there from the cursor of the change on, a dropped one is not', async (t) => {
  const { hub, subscribe } = openHub(t)
  const reader = await subscribe(['a'])
  await hub.publish('a', { data: 1 })
  await hub.publish('b', { data: 'missed' })
  await change(hub, reader.subscriber, { add: ['b'] })
  await hub.publish('b', { data: 2 })
  await hub.publish('a', { data: 3 })
  await change(hub, reader.subscriber, { drop: ['a'] })
  await hub.publish('a', { data: 'dropped' })
  await hub.publish('b', { data: 4 })
  await until(() => reader.data.length >= 4)
  await settle()
  t.strictSame(reader.data, ['1', '2', '3', '4'])
  t.match(reader.told('open'), [{ topics: ['a'] }, { topics: ['a', 'b'] }, { topics: ['b'] }])
  t.strictSame(reader.told('open').map((told) => (told as { connection: string }).connection), ['c1', 'c1', 'c1'])
  const second = reader.blocks.filter(({ event }) => event?.type === 'fanfare.open')[1]!
  t.equal(second.id, hub.cursor(2), 'the block has the cursor of the change')
})

await t.test('the newest events of what was added come first when asked for, without ids, and only of what is new', async (t) => {
  const { hub, subscribe } = openHub(t)
  for (let n = 0; n < 5; n++) for (const topic of ['room.a', 'room.b']) await hub.publish(topic, { data: `${topic} ${n}` })
  const reader = await subscribe(['room.a'], { replay: 1 })
  await until(() => reader.data.length === 1)
  await change(hub, reader.subscriber, { add: ['room.*'], replay: 4 })
  await hub.publish('room.b', { data: 'live' })
  await until(() => reader.data.includes('"live"'))
  t.strictSame(reader.data, ['"room.a 4"', '"room.b 2"', '"room.a 3"', '"room.b 3"', '"room.b 4"', '"live"'], 'four that it has not seen')
  const ids = reader.blocks.flatMap(({ event, id }) => (event && !event.type.startsWith('fanfare.') ? [id] : []))
  t.strictSame(ids, [hub.cursor(9), undefined, undefined, undefined, undefined, hub.cursor(11)])
  t.equal(reader.lastEventId, hub.cursor(11))
})

await t.test('what it had by a pattern but never saw comes, too, when it is asked for by name', async (t) => {
  const { hub, subscribe } = openHub(t)
  for (let n = 0; n < 3; n++) await hub.publish('orders.43', { data: n })
  const reader = await subscribe(['orders.*'])
  await hub.publish('orders.43', { data: 'live' })
  await change(hub, reader.subscriber, { add: ['orders.43'], drop: ['orders.*'], replay: 5 })
  await until(() => reader.data.length === 4)
  await change(hub, reader.subscriber, { add: ['orders.*'], drop: ['orders.43'], replay: 5 })
  await change(hub, reader.subscriber, { drop: ['orders.*'] })
  await hub.publish('orders.43', { data: 'between' })
  await change(hub, reader.subscriber, { add: ['orders.*'], replay: 5 })
  await until(() => reader.data.length === 5)
  await settle()
  t.strictSame(reader.data, ['"live"', '0', '1', '2', '"between"'], 'each once')
})

await t.test('what was missed still comes after very many changes', async (t) => {
  const { hub, subscribe } = openHub(t)
  const reader = await subscribe(['z'])
  await hub.publish('a', { data: 'old' })
  await change(hub, reader.subscriber, { add: ['a'] })
  await hub.publish('a', { data: 'live' })
  await change(hub, reader.subscriber, { drop: ['a'] })
  await hub.publish('a', { data: 'missed' })
  for (let n = 0; n < 100; n++) await change(hub, reader.subscriber, n % 2 ? { add: ['b'], replay: 1 } : { drop: ['b'] })
  await change(hub, reader.subscriber, { add: ['a'], replay: 1_000 })
  await until(() => reader.data.length === 3)
  t.strictSame(reader.data, ['"live"', '"old"', '"missed"'])
})

await t.test('who has resumed has read what lies before', async (t) => {
  const { hub, subscribe } = openHub(t)
  for (const topic of ['x.a', 'x.b', 'x.a', 'x.b']) await hub.publish(topic, { data: topic })
  const reader = await subscribe(['x.a'], { lastEventId: hub.cursor(3) })
  await change(hub, reader.subscriber, { add: ['x.*'], replay: 5 })
  await until(() => reader.data.length === 2)
  await settle()
  t.strictSame(reader.data, ['"x.b"', '"x.b"'])
})

await t.test('a stream may lose every topic and get others', async (t) => {
  const { hub, subscribe } = openHub(t)
  const reader = await subscribe(['a'])
  await change(hub, reader.subscriber, { drop: ['a'] })
  await hub.publish('a', { data: 1 })
  await settle()
  t.strictSame(reader.data, [])
  await change(hub, reader.subscriber, { add: ['b'] })
  await hub.publish('b', { data: 2 })
  await until(() => reader.data.length === 1)
  t.match(reader.told('open').at(-1), { topics: ['b'] })
})

await t.test('a stream that stalls is told what has changed once it reads again', async (t) => {
  const { hub, subscribe } = openHub(t)
  const reader = await subscribe(['a'])
  await hub.publish('b', { data: 'past' })
  reader.stall()
  await hub.publish('a', { data: 1 })
  await until(() => reader.isFull)
  await hub.publish('a', { data: 'dropped before it was read' })
  for (let n = 0; n < 50; n++) await change(hub, reader.subscriber, { add: [`c${n}`] })
  await change(hub, reader.subscriber, { add: ['b'], drop: ['a'], replay: 1 })
  await settle()
  t.equal(reader.overflow, 0, 'nothing is written to a full sink, however often it is changed')
  reader.drain()
  await hub.publish('b', { data: 2 })
  await until(() => reader.data.includes('2'))
  t.strictSame(reader.data, ['1', '"past"', '2'])
  t.equal(reader.told('open').length, 2)
})

await t.test('whatever is published and changed, in whatever state the stream is', async (t) => {
  const topics = ['a.x', 'a.y', 'b.x', 'c']
  const patterns = fc.subarray(['a.x', 'a.*', 'a.y', 'b.x', '*.x', 'c', '**'])
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ publish: fc.constantFrom(...topics) }) },
    { weight: 2, arbitrary: fc.record({ add: patterns, drop: patterns }) },
    { weight: 1, arbitrary: fc.record({ stall: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ drain: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 3 }) }) },
  )
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, replays) => {
    const { hub, subscribe, errors } = openHub(t)
    for (let n = 0; n < 3; n++) await hub.publish(topics[n % 2]!, { data: 'past' })
    const reader = await subscribe(['a.x', 'c'], replays ? { replay: 'all' } : {})
    const log: { topic: string; sequence: number }[] = [{ topic: 'a.x', sequence: 1 }, { topic: 'a.y', sequence: 2 }, { topic: 'a.x', sequence: 3 }]
    for (const one of steps) {
      if ('publish' in one) {
        const { id } = await hub.publish(one.publish, { data: 'x' })
        log.push({ topic: one.publish, sequence: Number(id!.split('-')[1]) })
      } else if ('add' in one) await change(hub, reader.subscriber, one)
      else if ('stall' in one) reader.stall(one.stall)
      else if ('drain' in one) reader.drain(one.drain)
      else await settle(one.turns)
    }
    reader.drain()
    await change(hub, reader.subscriber, { add: ['end'] })
    await hub.publish('end', { data: 'end' })
    await until(() => reader.data.at(-1) === '"end"', () => `the end does not come: ${JSON.stringify(reader.blocks.slice(-5))}`)

    // between two blocks that tell topics lies exactly what those topics had between their two cursors
    const { blocks } = reader
    let held: string[] = []
    let at = 0
    let read: number[] = []
    const check = (upTo: number) => {
      const due = log.filter(({ topic, sequence }) => sequence > at && sequence <= upTo && held.some((pattern) => matches(pattern, topic))).map(({ sequence }) => sequence)
      if (JSON.stringify(read) !== JSON.stringify(due)) throw new Error(`of ${held.join(' ')} from ${at} to ${upTo}: ${read.join(' ')} came, and ${due.join(' ')} were due`)
    }
    for (const { event, id } of blocks) {
      const sequence = Number(id?.split('-')[1])
      if (event?.type === 'fanfare.open') {
        check(sequence)
        held = (JSON.parse(event.data) as { topics: string[] }).topics
        at = sequence
        read = []
      } else if (event?.type === 'message' && event.data !== '"end"') read.push(sequence)
    }
    check(hub.head - 1)
    if (errors.length > 0) throw errors[0]
    await hub.close()
  }), { numRuns: 200 })
})
