import t, { type Test } from 'tap'
import { FakeSink, settle, until } from './fake-sink.js'
import { IS_LATE, openHub } from './open-hub.js'

const { now: readWallClock } = Date

/** Moves the wall clock by a number of milliseconds until the test is over. */
function setWallClock(t: Test, shift: number): void {
  Date.now = () => readWallClock() + shift
  t.teardown(() => (Date.now = readWallClock))
}

await t.test('streams', async (t) => {
  await t.test('the first block is sent at once, with the cursor before the first event', async (t) => {
    const { hub, subscribe } = await openHub(t)
    await hub.publish('a', { data: 1 })
    const subscriber = await subscribe(['b.*', 'a'], { id: 'c-1' })
    t.equal(subscriber.writes.length, 1)
    t.match(subscriber.blocks, [{ id: `${hub.epoch}-1`, event: { type: 'fanfare.open' } }])
    t.strictSame(subscriber.told('open'), [{ connection: 'c-1', topics: ['a', 'b.*'] }])
    t.ok(subscriber.blocks[0]!.retry! >= 2_000 && subscriber.blocks[0]!.retry! <= 4_000)
    await settle()
    t.strictSame(subscriber.told('live'), [], 'a stream without catch-up gets no live block')
  })

  await t.test('fanfare.live comes between a replay and the new events', async (t) => {
    const { hub, subscribe } = await openHub(t)
    for (const data of [1, 2, 3]) await hub.publish('a', { data })
    const subscriber = await subscribe(['a'], { replay: 2 })
    await until(() => subscriber.told('live').length === 1)
    await hub.publish('a', { data: 4 })
    await until(() => subscriber.data.length === 3)
    t.match(
      subscriber.blocks.map(({ event, id }) => [event?.type, event?.type === 'message' ? event.data : '', id]),
      [
        ['fanfare.open', '', `${hub.epoch}-1`],
        ['message', '2', `${hub.epoch}-2`],
        ['message', '3', `${hub.epoch}-3`],
        ['fanfare.live', '', `${hub.epoch}-3`],
        ['message', '4', `${hub.epoch}-4`],
      ],
    )
  })

  // a late log delivers deltas over several turns
  await t.test(
    'events that are published between two turns of the event loop are sent in one write',
    { skip: IS_LATE },
    async (t) => {
      const { hub, subscribe } = await openHub(t)
      const subscriber = await subscribe(['*'])
      for (let n = 0; n < 10; n++) void hub.publish(`t${n % 3}`, { data: n })
      await until(() => subscriber.data.length === 10)
      t.equal(subscriber.writes.length, 2)
      t.strictSame(
        subscriber.data,
        Array.from({ length: 10 }, (_, n) => String(n)),
      )
    },
  )

  await t.test('streams with the same selection and format share the same bytes', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscribers = [
      await subscribe(['a', 'b']),
      await subscribe(['b', 'a', 'b']),
      await subscribe(['a', 'b'], { format: 'cloudevents' }),
    ]
    await hub.publish('a', { data: 1 })
    await until(() => subscribers.every((subscriber) => subscriber.data.length === 1))
    t.equal(subscribers[0]!.writes[1], subscribers[1]!.writes[1], 'both streams get the same buffer')
    t.not(subscribers[0]!.writes[1], subscribers[2]!.writes[1])
    t.match(JSON.parse(subscribers[2]!.data[0]!), { specversion: '1.0', data: 1 })
  })

  await t.test('only events of the selected types are sent, live and from the log', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const publishAll = () =>
      hub.publishAll([
        { topic: 'a', data: 1, type: 'x' },
        { topic: 'a', data: 2 },
        { topic: 'a', data: 3, type: 'y' },
        { topic: 'a', data: 4, type: 'z' },
      ])
    await publishAll()
    const subscriber = await subscribe(['a'], { types: ['x', 'y'], replay: 'all' })
    await until(() => subscriber.told('live').length === 1)
    await publishAll()
    await until(() => subscriber.data.length === 4)
    t.strictSame(subscriber.data, ['1', '3', '1', '3'])
  })

  await t.test('a gap has its reason, the cursor of the request, and the oldest retained event', async (t) => {
    const { hub, subscribe } = await openHub(t, {}, { events: 2 })
    for (const data of [1, 2, 3, 4]) await hub.publish('a', { data })
    const table: [lastEventId: string, reason: string][] = [
      [`${hub.epoch}-1`, 'expired'],
      [`${hub.epoch}-9`, 'future'],
      ['zzzzzzzz-1', 'epoch'],
      ['nonsense', 'invalid'],
    ]
    for (const [lastEventId, reason] of table) {
      const subscriber = await subscribe(['a'], { lastEventId })
      await until(() => subscriber.told('live').length === 1)
      t.strictSame(subscriber.told('gap'), [{ reason, after: lastEventId, oldest: `${hub.epoch}-3` }], reason)
      t.strictSame(subscriber.data, ['3', '4'], 'the retained events follow')
      const order = subscriber.blocks.map(({ event }) => event?.type)
      t.strictSame(order, ['fanfare.open', 'fanfare.gap', 'message', 'message', 'fanfare.live'])
    }
    const subscriber = await subscribe(['a'], { lastEventId: `${hub.epoch}-2` })
    await until(() => subscriber.told('live').length === 1)
    t.strictSame(subscriber.told('gap'), [], 'a stream that has the trimmed events gets no gap')
  })

  await t.test('a gap without later events has no oldest event', async (t) => {
    const { hub, subscribe } = await openHub(t)
    await hub.publish('b', { data: 1 })
    const subscriber = await subscribe(['a'], { lastEventId: 'zzzzzzzz-1' })
    await until(() => subscriber.told('live').length === 1)
    t.strictSame(subscriber.told('gap'), [{ reason: 'epoch', after: 'zzzzzzzz-1', oldest: null }])
  })

  await t.test('a stream is no longer counted when its peer has disconnected', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscribers = [await subscribe(['a']), await subscribe(['a'])]
    subscribers[0]!.close()
    t.equal(hub.connections.size, 1)
    t.match(await hub.publish('a', { data: 1 }), { subscribers: 1 })
    await until(() => subscribers[1]!.data.length === 1)
    t.equal(subscribers[0]!.late, 0)
    t.strictSame(subscribers[0]!.data, [])
  })

  await t.test('a sink that closes during the first write leaves no stream behind', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const sink = new FakeSink()
    sink.onWrite = () => sink.close()
    await subscribe(['a'], { sink, replay: 'all' })
    t.equal(hub.connections.size, 0)
    t.match(await hub.publish('a', { data: 1 }), { subscribers: 0 })
    await settle()
    t.equal(sink.late, 0)
  })
})

await t.test('slow subscribers', async (t) => {
  await t.test('a full sink gets nothing until it has drained, and then every event', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const [slow, quick] = [await subscribe(['a']), await subscribe(['a'])]
    slow.stall()
    for (let n = 0; n < 50; n++) {
      await hub.publish('a', { data: n })
      await settle(1)
    }
    await until(() => quick.data.length === 50)
    t.equal(slow.overflow, 0)
    t.ok(slow.data.length < 10)
    slow.drain()
    await until(() => slow.data.length === 50)
    t.strictSame(slow.data, quick.data)
    await hub.publish('a', { data: 'news' })
    await until(() => slow.data.length === 51)
  })

  await t.test('a full sink costs one batch of memory', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const slow = await subscribe(['a'])
    slow.stall()
    const text = 'x'.repeat(50_000)
    for (let n = 0; n < 200; n++) {
      await hub.publish('a', { text })
      await settle(1)
    }
    t.ok(slow.bytes.length < 300_000, `${slow.bytes.length} bytes were written`)
    for (let n = 0; slow.data.length < 200; n++) {
      slow.drain(1)
      await until(() => slow.isFull || slow.data.length === 200)
    }
    t.equal(slow.data.length, 200)
    t.ok(slow.writes.every(({ length }) => length < 300_000))
    t.equal(slow.overflow, 0)
  })

  await t.test('a sink that is full after the first block gets its replay once it drains', async (t) => {
    const { hub, subscribe } = await openHub(t)
    for (let n = 0; n < 5; n++) await hub.publish('a', { text: 'x'.repeat(100_000) })
    const sink = new FakeSink()
    sink.stall()
    await subscribe(['a'], { sink, replay: 'all' })
    await settle()
    t.ok(sink.overflow <= 300_000, `${sink.overflow} bytes were written to a full sink`)
    while (sink.told('live').length === 0) {
      sink.drain(1)
      await until(() => sink.isFull)
    }
    t.equal(sink.data.length, 5)
    sink.drain()
    await hub.publish('a', { text: 'news' })
    await until(() => sink.data.at(-1) === 'news')
  })

  await t.test('a short stall loses no ephemeral event', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const slow = await subscribe(['a'])
    slow.stall()
    for (let n = 0; n < 10; n++) {
      await hub.publish('a', { data: n, ephemeral: n % 2 === 0 })
      await settle(1)
    }
    slow.drain()
    await until(() => slow.data.length === 10)
    t.strictSame(
      slow.data,
      Array.from({ length: 10 }, (_, n) => String(n)),
    )
  })

  await t.test('a sink that makes no progress is ended as slow', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const slow = await subscribe(['a'])
    slow.stall()
    await hub.publish('a', { data: 1 })
    await until(() => slow.isFull)
    slow.listener!.stalled()
    t.strictSame(slow.told('close'), [{ reason: 'slow' }])
    t.equal(hub.connections.size, 0)
  })
})

await t.test('time', async (t) => {
  await t.test('a stream ends within a second of its token, and not before', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const expiresAt = Date.now() + 300
    const subscriber = await subscribe(['a'], { expiresAt })
    const other = await subscribe(['a'], { expiresAt: expiresAt + 60_000 })
    await until(() => subscriber.isClosed)
    const late = Date.now() - expiresAt
    t.ok(late >= 0 && late < 1_000, `${late} ms after the expiry`)
    t.strictSame(subscriber.told('close'), [{ reason: 'expired' }])
    t.ok(subscriber.blocks.at(-1)!.retry! >= 2_000)
    await hub.publish('a', { data: 1 })
    await until(() => other.data.length === 1)
    t.strictSame(subscriber.data, [])
    t.equal(other.isClosed, false)
  })

  await t.test('a stalled stream ends with its token', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'], { expiresAt: Date.now() + 100 })
    subscriber.stall()
    await hub.publish('a', { data: 1 })
    await until(() => subscriber.isClosed)
    t.strictSame(subscriber.told('close'), [{ reason: 'expired' }])
  })

  await t.test('a stream ends at its maximum age', async (t) => {
    const { subscribe } = await openHub(t, { maxAge: 200 })
    const subscriber = await subscribe(['a'])
    await until(() => subscriber.isClosed)
    t.strictSame(subscriber.told('close'), [{ reason: 'lifetime' }])
  })

  await t.test('durations ignore changes of the wall clock', async (t) => {
    for (const shift of [-3_600_000, 3_600_000]) {
      const { hub, subscribe } = await openHub(t, { heartbeat: 50, presenceGrace: 600_000, maxAge: 600_000 })
      const hasty = await openHub(t, { heartbeat: 50, presenceGrace: 300, maxAge: 1_000 })
      const subscriber = await subscribe(['quiet'], { subject: 'ann' })
      const aging = await hasty.subscribe(['quiet'], { subject: 'ann' })
      await until(() => subscriber.told('heartbeat').length > 0)
      const leaving = await subscribe(['room'], { subject: 'ann' })
      const hastyLeaving = await hasty.subscribe(['room'], { subject: 'ann' })
      leaving.close()
      hastyLeaving.close()
      setWallClock(t, shift)
      const beats = subscriber.told('heartbeat').length
      await until(() => subscriber.told('heartbeat').length >= beats + 2)
      while ((await hasty.hub.present('room')).length > 0) await settle(1)
      await until(() => aging.isClosed)
      t.strictSame(aging.told('close'), [{ reason: 'lifetime' }])
      t.equal((await hub.present('room')).length, 1, 'the grace is not shorter')
      t.equal(subscriber.isClosed, false, 'the maximum age is not shorter')
      setWallClock(t, 0)
    }
  })

  await t.test('a token expires by the wall clock', async (t) => {
    const { hub, subscribe } = await openHub(t, { heartbeat: 50 })
    const subscriber = await subscribe(['a'], { expiresAt: Date.now() + 1_800_000 })
    setWallClock(t, -3_600_000)
    await until(() => subscriber.told('heartbeat').length >= 2)
    t.equal(hub.connections.size, 1, 'the clock was set back, so the expiry is still in the future')
    setWallClock(t, 3_600_000)
    await until(() => subscriber.isClosed)
    t.strictSame(subscriber.told('close'), [{ reason: 'expired' }])
  })

  await t.test('a quiet stream gets heartbeats with the head of the log as its cursor', async (t) => {
    const { hub, subscribe } = await openHub(t, { heartbeat: 50 })
    const subscriber = await subscribe(['quiet'])
    const picky = await subscribe(['busy'], { types: ['rare'] })
    for (let n = 0; n < 3; n++) await hub.publish('busy', { data: n })
    await until(() => subscriber.told('heartbeat').length > 0)
    t.match(subscriber.blocks.at(-1), {
      event: { type: 'fanfare.heartbeat', data: '{}' },
      comments: [],
      id: `${hub.epoch}-3`,
    })
    t.equal(subscriber.stream.sentEvents, 0, 'a heartbeat does not count as an event')
    await until(() => picky.told('heartbeat').length > 0)
    t.match(
      picky.blocks.at(-1),
      { event: { type: 'fanfare.heartbeat' }, id: `${hub.epoch}-3` },
      'also on a stream with a type filter',
    )
    await hub.publish('quiet', { data: 'news' })
    await until(() => subscriber.data.length === 1)
    t.match(subscriber.blocks.at(-1), { id: `${hub.epoch}-4`, event: { data: '"news"' } })
    await until(() => subscriber.blocks.at(-1)!.event?.type === 'fanfare.heartbeat')
    const resumed = await subscribe(['quiet'], { lastEventId: subscriber.lastEventId! })
    await until(() => resumed.told('live').length === 1)
    t.strictSame(resumed.data, [])
    t.strictSame(resumed.told('gap'), [])
  })

  await t.test('the cursor of a heartbeat is not ahead of pending events', async (t) => {
    const { hub, subscribe } = await openHub(t, { heartbeat: 0 })
    const subscriber = await subscribe(['a', 'b'])
    const publish = () => {
      void hub.publish('a', { data: 1 })
      const end = performance.now() + 1
      while (performance.now() < end); // so that the timers of heartbeats and of this test are due together
    }
    // more events would leave no turn for a heartbeat
    const timers = [setInterval(publish, 3), setInterval(publish, 7)]
    t.teardown(() => timers.forEach((timer) => clearInterval(timer)))
    let beats = 0
    subscriber.onWrite = () => {
      if (subscriber.writes.at(-1)!.includes('fanfare.heartbeat')) beats++
    }
    await until(() => beats >= 4)
    timers.forEach((timer) => clearInterval(timer))
    let last = 0
    let behind = 0
    for (const { event, id } of subscriber.blocks) {
      const sequence = Number(id!.slice(9))
      if (sequence < last || (event?.type === 'message' && sequence === last)) behind++
      last = sequence
    }
    t.equal(behind, 0, 'no earlier event follows an id')
  })

  await t.test('a stalled stream gets no heartbeats', async (t) => {
    const { hub, subscribe } = await openHub(t, { heartbeat: 50 })
    const [slow, quick] = [await subscribe(['a']), await subscribe(['a'])]
    slow.stall()
    await hub.publish('a', { data: 1 })
    await until(() => slow.isFull)
    const { length } = slow.writes
    await until(() => quick.told('heartbeat').length >= 2)
    t.equal(slow.writes.length, length)
    slow.drain()
    await until(() => slow.told('heartbeat').length > 0)
  })
})
