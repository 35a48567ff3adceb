/**
 * Streams that move to other topics while they are open: events stay in order, none is lost, and no event of dropped
 * topics is sent.
 */
import fc from 'fast-check'
import t from 'tap'
import { matches } from '../../src/model/topic.js'
import type { Hub } from '../../src/hub/hub.js'
import type { Stream } from '../../src/hub/stream.js'
import { settle, until } from './fake-sink.js'
import { openHub } from './open-hub.js'

/** Adds and removes topics of a stream, as a route does. */
function change(
  hub: Hub,
  stream: Stream,
  { add = [], drop = [], replay = 0 }: { add?: string[]; drop?: string[]; replay?: number },
): void {
  const { selection } = stream.feed
  const topics = [...selection.patterns, ...add].filter((pattern) => !drop.includes(pattern))
  const added = selection.of(topics.filter((pattern) => !selection.patterns.includes(pattern)))
  hub.streams.move(
    stream,
    selection.of(topics),
    replay > 0 && added.patterns.length > 0 ? { selection: added, count: replay } : undefined,
  )
}

/** A payload so large that a batch holds only one or two. */
const LARGE = 'x'.repeat(40_000)

/** The numbers of the received events, in order. */
function numbers({ data }: { data: string[] }): number[] {
  return data.map((text) => (JSON.parse(text) as { n: number }).n)
}

await t.test(
  'from the cursor of a move, a stream gets the events of added topics and none of dropped topics',
  async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'])
    await hub.publish('a', { data: 1 })
    await hub.publish('b', { data: 'missed' })
    change(hub, subscriber.stream, { add: ['b'] })
    await hub.publish('b', { data: 2 })
    await hub.publish('a', { data: 3 })
    change(hub, subscriber.stream, { drop: ['a'] })
    await hub.publish('a', { data: 'dropped' })
    await hub.publish('b', { data: 4 })
    await until(() => subscriber.data.length >= 4)
    await settle()
    t.strictSame(subscriber.data, ['1', '2', '3', '4'])
    t.match(subscriber.told('open'), [{ topics: ['a'] }, { topics: ['a', 'b'] }, { topics: ['b'] }])
    t.strictSame(
      subscriber.told('open').map((told) => (told as { connection: string }).connection),
      ['c1', 'c1', 'c1'],
    )
    const second = subscriber.blocks.filter(({ event }) => event?.type === 'fanfare.open')[1]!
    t.equal(second.id, hub.cursor(2), 'the open block has the cursor of the change')
  },
)

await t.test("whether events name their topic depends on the stream's current topics only", async (t) => {
  for (const others of [[], ['a'], ['a', 'b']]) {
    const { hub, subscribe } = await openHub(t)
    if (others.length > 0) await subscribe(others)
    const subscriber = await subscribe(['a'])
    const named = () =>
      subscriber.blocks.filter(({ event }) => event?.type === 'message').map(({ extra }) => extra['topic'])
    for (const [n, topics] of [
      {},
      { add: ['b'] },
      { drop: ['b'] },
      { add: ['*'], drop: ['a'] },
      { add: ['a'], drop: ['*'] },
    ].entries()) {
      change(hub, subscriber.stream, topics)
      await hub.publish('a', { data: n })
      await until(() => subscriber.data.length === n + 1)
    }
    t.strictSame(
      named(),
      [undefined, 'a', undefined, 'a', undefined],
      `beside a stream of ${others.join(' and ') || 'nothing'}`,
    )
  }
})

await t.test('a requested replay of added topics comes first, without ids', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 0; n < 5; n++)
    for (const topic of ['room.a', 'room.b']) await hub.publish(topic, { data: `${topic} ${n}` })
  const subscriber = await subscribe(['room.a'], { replay: 1 })
  await until(() => subscriber.data.length === 1)
  change(hub, subscriber.stream, { add: ['room.*'], replay: 4 })
  await hub.publish('room.b', { data: 'live' })
  await until(() => subscriber.data.includes('"live"'))
  t.strictSame(
    subscriber.data,
    ['"room.a 4"', '"room.a 3"', '"room.b 3"', '"room.a 4"', '"room.b 4"', '"live"'],
    'the newest four of the added pattern',
  )
  const ids = subscriber.blocks.flatMap(({ event, id }) => (event && !event.type.startsWith('fanfare.') ? [id] : []))
  t.strictSame(ids, [hub.cursor(9), undefined, undefined, undefined, undefined, hub.cursor(11)])
  t.equal(subscriber.lastEventId, hub.cursor(11))
})

await t.test('a pattern that is added again is a new subscription, and its replay sends the same events', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { data: { n } })
  const subscriber = await subscribe(['z'])
  for (let round = 1; round <= 3; round++) {
    change(hub, subscriber.stream, { add: ['a'], replay: 2 })
    await until(() => subscriber.data.length === 2 * round)
    change(hub, subscriber.stream, { drop: ['a'] })
  }
  await settle()
  t.strictSame(numbers(subscriber), [2, 3, 2, 3, 2, 3])
})

await t.test('a pattern that the stream already has gets no replay', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (const topic of ['a', 'b']) await hub.publish(topic, { data: topic })
  const subscriber = await subscribe(['a'])
  change(hub, subscriber.stream, { add: ['a', 'b'], replay: 10 })
  await until(() => subscriber.data.length === 1)
  await settle()
  t.strictSame(subscriber.data, ['"b"'])
})

await t.test('a replay ends at the cursor of the change: later events are not counted, and come once', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { data: { n } })
  const subscriber = await subscribe(['z'])
  await settle()
  subscriber.stall()
  await hub.publish('z', { data: { n: 0 } })
  await until(() => subscriber.isFull)
  change(hub, subscriber.stream, { add: ['a'], replay: 2 })
  for (let n = 4; n <= 6; n++) await hub.publish('a', { data: { n } })
  subscriber.drain()
  await until(() => numbers(subscriber).includes(6))
  t.strictSame(numbers(subscriber), [0, 2, 3, 4, 5, 6])
})

await t.test('a stream keeps no finished replays, after any number of moves', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { data: { n } })
  const subscriber = await subscribe(['z'])
  for (let round = 1; round <= 1_000; round++) {
    change(hub, subscriber.stream, { add: ['a', `t${round}`], replay: 1 })
    change(hub, subscriber.stream, { drop: ['a', `t${round}`] })
  }
  t.equal(subscriber.stream.pendingReplays, 0)
  change(hub, subscriber.stream, { add: ['a'], replay: 1 })
  await until(() => subscriber.data.length === 1)
  t.equal(subscriber.stream.pendingReplays, 0)
  t.strictSame(numbers(subscriber), [3])
})

await t.test('a stream may drop all topics and add others', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const subscriber = await subscribe(['a'])
  change(hub, subscriber.stream, { drop: ['a'] })
  await hub.publish('a', { data: 1 })
  await settle()
  t.strictSame(subscriber.data, [])
  change(hub, subscriber.stream, { add: ['b'] })
  await hub.publish('b', { data: 2 })
  await until(() => subscriber.data.length === 1)
  t.match(subscriber.told('open').at(-1), { topics: ['b'] })
})

await t.test('a stalled stream gets the open block of its move once it drains', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const subscriber = await subscribe(['a'])
  await hub.publish('b', { data: 'past' })
  subscriber.stall()
  await hub.publish('a', { data: 1 })
  await until(() => subscriber.isFull)
  await hub.publish('a', { data: 'dropped before it was read' })
  for (let n = 0; n < 50; n++) change(hub, subscriber.stream, { add: [`c${n}`] })
  change(hub, subscriber.stream, { add: ['b'], drop: ['a'], replay: 1 })
  await settle()
  t.equal(subscriber.overflow, 0, 'no move writes to a full sink')
  subscriber.drain()
  await hub.publish('b', { data: 2 })
  await until(() => subscriber.data.includes('2'))
  t.strictSame(subscriber.data, ['1', '"past"', '2'])
  t.equal(subscriber.told('open').length, 2)
})

await t.test('an unfinished replay that is dropped can be requested again', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 10; n++) await hub.publish('b', { data: { n, LARGE } })
  const subscriber = await subscribe(['a'])
  await settle()
  subscriber.stall(3) // the open block, and two batches
  change(hub, subscriber.stream, { add: ['b'], replay: 10 })
  await until(() => subscriber.isFull)
  t.ok(numbers(subscriber).length < 10)
  change(hub, subscriber.stream, { drop: ['b'] })
  subscriber.drain()
  await settle()
  const before = numbers(subscriber)
  change(hub, subscriber.stream, { add: ['b'], replay: 10 })
  await until(() => subscriber.data.length >= before.length + 10)
  await settle()
  t.ok(before.length < 10, 'the first replay was unfinished')
  t.strictSame(numbers(subscriber).slice(before.length), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

await t.test('a topic that is added and dropped at once is not replayed, and can be requested again', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { data: { n } })
  const subscriber = await subscribe(['z'])
  change(hub, subscriber.stream, { add: ['a'], drop: ['a'], replay: 5 })
  await settle()
  t.strictSame(subscriber.data, [])
  change(hub, subscriber.stream, { add: ['a'], replay: 5 })
  await until(() => subscriber.data.length === 3)
})

await t.test('the dropped topics of a replay are not sent, and its other topics are', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 6; n++) await hub.publish(n % 2 ? 'odd' : 'even', { data: { n } })
  const subscriber = await subscribe(['z'])
  await settle()
  subscriber.stall()
  await hub.publish('z', { data: { n: 0 } })
  await until(() => subscriber.isFull)
  change(hub, subscriber.stream, { add: ['odd', 'even'], replay: 4 })
  change(hub, subscriber.stream, { drop: ['odd'] })
  change(hub, subscriber.stream, { add: ['odd'] })
  subscriber.drain()
  await hub.publish('z', { data: { n: 7 } })
  await until(() => numbers(subscriber).includes(7))
  t.strictSame(numbers(subscriber), [0, 4, 6, 7], 'of the newest four events, only those of the remaining topic')
})

await t.test(
  'a replay reports events that are purged before it reads them, but not those purged before the request',
  async (t) => {
    const { hub, subscribe } = await openHub(t)
    for (const topic of ['b', 'c']) for (let n = 1; n <= 10; n++) await hub.publish(topic, { data: { n, LARGE } })
    await hub.purge('c')
    const subscriber = await subscribe(['a'])
    change(hub, subscriber.stream, { add: ['c'], replay: 10 })
    await settle()
    t.strictSame(subscriber.told('gap'), [])
    subscriber.stall(2)
    change(hub, subscriber.stream, { add: ['b'], replay: 10 })
    await until(() => subscriber.isFull)
    await hub.purge('b')
    subscriber.drain()
    await hub.publish('a', { data: { n: 0 } })
    await until(() => numbers(subscriber).includes(0))
    t.match(subscriber.told('gap'), [{ reason: 'expired', oldest: null }])
    t.ok(numbers(subscriber).length < 11)
  },
)

await t.test(
  'a move loses no ephemeral events of remaining topics, even if the stream is stalled or not live yet',
  async (t) => {
    const { hub, subscribe } = await openHub(t)
    const publish = (topic: string, n: number) => hub.publish(topic, { data: { n }, ephemeral: true })
    const subscriber = await subscribe(['e', 'gone'])
    await settle()
    subscriber.stall()
    await publish('e', 0)
    await until(() => subscriber.isFull)
    await publish('e', 1)
    await publish('gone', 2)
    change(hub, subscriber.stream, { add: ['f'], drop: ['gone'] })
    await publish('f', 3)
    change(hub, subscriber.stream, { add: ['g'] })
    await publish('e', 4)
    subscriber.drain()
    await until(() => numbers(subscriber).includes(4))
    t.strictSame(numbers(subscriber), [0, 1, 3, 4])

    for (let n = 0; n < 5; n++) await hub.publish('past', { data: { n: -1, LARGE } })
    const late = await subscribe(['past'], { replay: 'all' })
    await publish('past', 5)
    change(hub, late.stream, { add: ['f'] })
    await until(() => numbers(late).includes(5))
    t.strictSame(numbers(late), [-1, -1, -1, -1, -1, 5])
  },
)

await t.test('a stalled stream that moves keeps a limited number of ephemeral events', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const subscriber = await subscribe(['e'])
  await settle()
  subscriber.stall()
  await hub.publish('e', { data: { n: 0 }, ephemeral: true })
  await until(() => subscriber.isFull)
  for (let n = 1; n <= 20; n++) {
    await hub.publish('e', { data: { n, LARGE }, ephemeral: true })
    change(hub, subscriber.stream, { add: [`other${n}`] })
  }
  subscriber.drain()
  await until(() => numbers(subscriber).includes(20))
  t.strictSame(numbers(subscriber), [0, 20], 'the newest event is kept')
})

await t.test(
  'after any moves and replays, the last replay sends the retained events, and each new event comes once',
  async (t) => {
    const topics = ['a.x', 'a.y', 'b.x', 'c']
    const patterns = fc.subarray(['a.x', 'a.*', 'a.y', 'b.x', '*.x', 'c', '**'])
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ publish: fc.constantFrom(...topics), isLarge: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ add: patterns, drop: patterns, replay: fc.constantFrom(0, 1, 3, 1_000) }) },
      { weight: 1, arbitrary: fc.record({ stall: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ drain: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 3 }) }) },
    )
    const any = fc.record({
      steps: fc.array(step, { maxLength: 60 }),
      slow: fc.constantFrom('resume' as const, 'latest' as const),
      replay: fc.integer({ min: 1, max: 70 }),
    })
    await fc.assert(
      fc.asyncProperty(any, async ({ steps, slow, replay }) => {
        const { hub, subscribe, errors } = await openHub(t)
        const published: { n: number; topic: string }[] = []
        const publish = (topic: string, isLarge = false) => {
          const n = published.push({ n: published.length + 1, topic })
          return hub.publish(topic, { data: { n, ...(isLarge && { LARGE }) } })
        }
        for (let n = 0; n < 6; n++) await publish(topics[n % 2]!, true)
        const subscriber = await subscribe(['a.x', 'c'], { slow })
        for (const one of steps) {
          if ('publish' in one) await publish(one.publish, one.isLarge)
          else if ('add' in one) change(hub, subscriber.stream, one)
          else if ('stall' in one) subscriber.stall(one.stall)
          else if ('drain' in one) subscriber.drain(one.drain)
          else await settle(one.turns)
        }
        subscriber.drain()
        change(hub, subscriber.stream, { add: ['end'] })
        await publish('end') // earlier replays are sent before this event
        await until(() => numbers(subscriber).at(-1) === published.length)
        change(hub, subscriber.stream, { drop: ['a.*', '**'] })
        const read = subscriber.data.length
        const expected = published
          .filter(({ topic }) => matches('a.*', topic))
          .slice(-replay)
          .map(({ n }) => n)
        change(hub, subscriber.stream, { add: ['a.*'], replay })
        await publish('end')
        await until(
          () => numbers(subscriber).at(-1) === published.length,
          () => 'the last event does not arrive',
        )
        const came = numbers(subscriber).slice(read)
        if (JSON.stringify(came) !== JSON.stringify([...expected, published.length]))
          throw new Error(`${came.join(' ')} came, and not ${expected.join(' ')}`)
        if (errors.length > 0) throw errors[0]
        await hub.close()
      }),
      { numRuns: 200 },
    )
  },
)

await t.test('a stream gets exactly its events, for any publishes and moves in any state', async (t) => {
  const topics = ['a.x', 'a.y', 'b.x', 'c']
  const patterns = fc.subarray(['a.x', 'a.*', 'a.y', 'b.x', '*.x', 'c', '**'])
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ publish: fc.constantFrom(...topics) }) },
    { weight: 2, arbitrary: fc.record({ add: patterns, drop: patterns }) },
    { weight: 1, arbitrary: fc.record({ stall: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ drain: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 3 }) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, replays) => {
      const { hub, subscribe, errors } = await openHub(t)
      for (let n = 0; n < 3; n++) await hub.publish(topics[n % 2]!, { data: 'past' })
      const subscriber = await subscribe(['a.x', 'c'], replays ? { replay: 'all' } : {})
      const log: { topic: string; sequence: number }[] = [
        { topic: 'a.x', sequence: 1 },
        { topic: 'a.y', sequence: 2 },
        { topic: 'a.x', sequence: 3 },
      ]
      for (const one of steps) {
        if ('publish' in one) {
          const { id } = await hub.publish(one.publish, { data: 'x' })
          log.push({ topic: one.publish, sequence: Number(id!.split('-')[1]) })
        } else if ('add' in one) change(hub, subscriber.stream, one)
        else if ('stall' in one) subscriber.stall(one.stall)
        else if ('drain' in one) subscriber.drain(one.drain)
        else await settle(one.turns)
      }
      subscriber.drain()
      change(hub, subscriber.stream, { add: ['end'] })
      await hub.publish('end', { data: 'end' })
      await until(
        () => subscriber.data.at(-1) === '"end"',
        () => `the last event does not arrive: ${JSON.stringify(subscriber.blocks.slice(-5))}`,
      )

      // the events between two open blocks are exactly those of the stream's topics between the two cursors
      const { blocks } = subscriber
      let held: string[] = []
      let at = 0
      let read: number[] = []
      const check = (upTo: number) => {
        const due = log
          .filter(
            ({ topic, sequence }) =>
              sequence > at && sequence <= upTo && held.some((pattern) => matches(pattern, topic)),
          )
          .map(({ sequence }) => sequence)
        if (JSON.stringify(read) !== JSON.stringify(due))
          throw new Error(
            `of ${held.join(' ')} from ${at} to ${upTo}: ${read.join(' ')} came, and ${due.join(' ')} were due`,
          )
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
    }),
    { numRuns: 200 },
  )
})
