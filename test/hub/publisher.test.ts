import t from 'tap'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { HubError } from '../../src/model/hub-error.js'
import { settle, until } from './fake-sink.js'
import { openHub, openHubOn } from './open-hub.js'

await t.test('publishing', async (t) => {
  await t.test('a receipt has the cursor and the number of subscribers', async (t) => {
    const { hub, subscribe } = await openHub(t)
    await subscribe(['a'])
    await subscribe(['a', '*'])
    await subscribe(['**'], { types: ['x'] })
    await subscribe(['b'])
    t.strictSame(await hub.publish('a', { data: 1 }), {
      id: `${hub.epoch}-1`,
      topic: 'a',
      duplicate: false,
      subscribers: 2,
    })
    t.strictSame(await hub.publish('a', { data: 1, type: 'x' }), {
      id: `${hub.epoch}-2`,
      topic: 'a',
      duplicate: false,
      subscribers: 3,
    })
    t.strictSame(await hub.publish('nobody.here', { text: '' }), {
      id: `${hub.epoch}-3`,
      topic: 'nobody.here',
      duplicate: false,
      subscribers: 0,
    })
    t.equal(hub.head, 3)
    t.equal(hub.cursor(3), `${hub.epoch}-3`)
    t.equal(hub.connections.size, 4)
  })

  await t.test('a duplicate gets the cursor of the first event, and is not sent', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'])
    await hub.publish('a', { data: 'first', id: 'x' })
    t.strictSame(await hub.publish('a', { data: 'second', id: 'x' }), {
      id: `${hub.epoch}-1`,
      topic: 'a',
      duplicate: true,
      subscribers: 0,
    })
    await hub.publish('a', { data: 'last' })
    await until(() => subscriber.data.includes('"last"'))
    t.strictSame(subscriber.data, ['"first"', '"last"'])
  })

  await t.test('an ephemeral event is sent, has no id, and is not stored', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'])
    t.strictSame(await hub.publish('a', { data: 1, ephemeral: true }), {
      id: null,
      topic: 'a',
      duplicate: false,
      subscribers: 1,
    })
    await hub.publish('a', { data: 2 })
    await until(() => subscriber.data.length === 2)
    t.match(subscriber.blocks.slice(1), [
      { id: undefined, event: { data: '1' } },
      { id: `${hub.epoch}-1`, event: { data: '2' } },
    ])
    t.equal(hub.stats().events, 1)
    const late = await subscribe(['a'], { replay: 'all' })
    await until(() => late.told('live').length === 1)
    t.strictSame(late.data, ['2'])
  })

  await t.test('a batch gets consecutive sequences, and its ephemeral events are sent last', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['**'])
    const receipts = await hub.publishAll([
      { topic: 'a', data: 1 },
      { topic: 'b', data: 2, ephemeral: true },
      { topic: 'b', data: 3, id: 'x' },
      { topic: 'b', data: 4, id: 'x' },
      { topic: 'a', text: '5' },
    ])
    t.strictSame(
      receipts.map(({ id }) => id),
      [`${hub.epoch}-1`, null, `${hub.epoch}-2`, `${hub.epoch}-2`, `${hub.epoch}-3`],
    )
    t.strictSame(
      receipts.map(({ duplicate }) => duplicate),
      [false, false, false, true, false],
    )
    await until(() => subscriber.data.length === 4)
    t.strictSame(subscriber.data, ['1', '3', '5', '2'])
  })

  await t.test('a refused event refuses its batch, with the index of the event', async (t) => {
    const { hub, subscribe } = await openHub(t, { maxEventSize: 100 })
    const subscriber = await subscribe(['**'])
    const good = { topic: 'a', data: 1 }
    for (const [bad, code] of [
      [{ topic: 'a.*', data: 1 }, 'invalid-topic'],
      [{ topic: 'fanfare.x', data: 1 }, 'reserved-topic'],
      [{ topic: 'a' }, 'invalid-event'],
      [{ topic: 'a', text: 'x'.repeat(101) }, 'event-too-large'],
    ] as const) {
      await t.rejects(hub.publishAll([good, good, bad, good]), { name: 'HubError', code, index: 2 })
    }
    await settle()
    t.equal(hub.head, 0)
    t.strictSame(subscriber.data, [])
    t.strictSame(await hub.publishAll([]), [])
  })

  await t.test('an event that cannot be stored is refused, and not sent', async (t) => {
    const log = new MemoryLog({ events: 9, age: 1e12, bytes: 1e12, dedupWindow: 0 })
    log.append = () => Promise.reject(new HubError('log-unavailable', 'the disk is full'))
    const { hub, subscribe } = await openHubOn(t, log)
    const subscriber = await subscribe(['a'])
    await t.rejects(hub.publish('a', { data: 1 }), { code: 'log-unavailable' })
    await t.rejects(
      hub.publishAll([
        { topic: 'a', data: 1, ephemeral: true },
        { topic: 'a', data: 2 },
      ]),
      { code: 'log-unavailable' },
    )
    await settle()
    t.strictSame(subscriber.data, [], 'the ephemeral event of the batch is not sent either')
  })

  await t.test('events that other processes append are sent too', async (t) => {
    const { hub, log, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'])
    await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'from elsewhere' }])
    await until(() => subscriber.data.length === 1)
    t.strictSame(subscriber.data, ['from elsewhere'])
    t.equal(hub.head, 1)
  })
})

await t.test('a publish fails if the log returns too few results', async (t) => {
  const log = new MemoryLog({ events: 10, age: 1e9, bytes: 1e9, dedupWindow: 1e9 })
  log.append = () => Promise.resolve([])
  const { hub } = await openHubOn(t, log)
  await t.rejects(hub.publish('a', { data: 1 }), /0 results for 1 events/)
  await t.rejects(
    hub.publishAll([
      { topic: 'a', data: 1 },
      { topic: 'a', data: 2, ephemeral: true },
    ]),
    /0 results for 1/,
  )
})
