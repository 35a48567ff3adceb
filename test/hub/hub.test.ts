import t from 'tap'
import { Hub } from '../../src/hub/hub.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { HubError } from '../../src/model/hub-error.js'
import { until } from './fake-sink.js'
import { share } from '../helper/shared-log.js'
import { openHub, openHubOn } from './open-hub.js'

await t.test('stopping', async (t) => {
  await t.test('a drain ends all streams in groups, spread over its duration', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscribers = await Promise.all(Array.from({ length: 40 }, () => subscribe(['a'])))
    const left: number[] = []
    for (const subscriber of subscribers)
      Object.assign(subscriber, { onWrite: () => void left.push(hub.connections.size) })
    t.equal(hub.draining, false)
    const begun = performance.now()
    const drained = hub.drain(600)
    t.equal(hub.draining, true)
    await until(() => subscribers.some(({ isClosed }) => isClosed))
    t.ok(subscribers.filter(({ isClosed }) => isClosed).length < 40, 'only some of the streams')
    await drained
    t.ok(performance.now() - begun < 2_000)
    t.equal(hub.connections.size, 0)
    for (const subscriber of subscribers) {
      t.strictSame(subscriber.told('close'), [{ reason: 'drain' }])
      t.ok(subscriber.blocks.at(-1)!.retry! >= 2_000 && subscriber.blocks.at(-1)!.retry! <= 4_000)
    }
    t.ok(
      new Set(subscribers.map((subscriber) => subscriber.blocks.at(-1)!.retry)).size > 10,
      'the delays of the reconnects differ',
    )
  })

  await t.test('a drain of 0 ms ends all streams at once, and publishing continues', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscriber = await subscribe(['a'])
    await hub.drain(0)
    t.strictSame(subscriber.told('close'), [{ reason: 'drain' }])
    t.match(await hub.publish('a', { data: 1 }), { duplicate: false, subscribers: 0 })
    await hub.drain(0)
  })

  await t.test('published events are sent before a stream ends', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const subscribers = await Promise.all(Array.from({ length: 5 }, () => subscribe(['a'])))
    const drained = hub.drain(200)
    await hub.publish('a', { data: 'late' })
    await drained
    for (const subscriber of subscribers.filter(({ data }) => data.length > 0))
      t.strictSame(subscriber.data, ['"late"'])
    t.ok(subscribers.every(({ isClosed }) => isClosed))
  })

  await t.test('a closed hub has ended all streams, even stalled ones, and opens no new ones', async (t) => {
    const { hub, subscribe } = await openHub(t)
    const [quick, slow] = [await subscribe(['a']), await subscribe(['a'])]
    slow.stall()
    await hub.publish('a', { data: 1 })
    await until(() => slow.isFull)
    await hub.close()
    for (const subscriber of [quick, slow]) t.strictSame(subscriber.told('close'), [{ reason: 'drain' }])
    t.equal(hub.connections.size, 0)
    await t.rejects(subscribe(['a']), { code: 'hub-closed' })
    await hub.close()
  })
})

await t.test('an invalid drain time is refused, and no stream ends', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const subscriber = await subscribe(['a'])
  for (const time of ['x', '1', -1, NaN, Infinity, 1e12, 86_400_001, null, undefined, {}]) {
    await t.rejects(
      hub.drain(time as number),
      {
        name: 'SettingsError',
        message: /^drain\(time\) takes 0 to 86400000 milliseconds \(a day\), not /,
      },
      JSON.stringify(time),
    )
  }
  t.equal(hub.draining, false)
  await hub.publish('a', { data: 1 })
  await until(() => subscriber.data.length === 1)
  await hub.drain(0)
  t.equal(hub.connections.size, 0)
})

await t.test('an unreadable log ends the stream as busy, and the error is reported', async (t) => {
  const log = new MemoryLog({ events: 9, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  const { hub, errors, subscribe } = await openHubOn(t, log)
  await hub.publish('a', { data: 1 })
  const failure = new HubError('log-unavailable', 'the disk is gone')
  log.scan = () => Promise.reject(failure)
  const subscriber = await subscribe(['a'], { lastEventId: `${hub.epoch}-0` })
  await until(() => subscriber.isClosed)
  t.strictSame(subscriber.told('close'), [{ reason: 'busy', retry: subscriber.blocks.at(-1)!.retry }])
  t.ok(subscriber.blocks.at(-1)!.retry! >= 5_000, 'the delay of the reconnect is longer than usual')
  t.strictSame(errors, [failure])
  t.equal(hub.connections.size, 0)
})

await t.test('a hub continues at the head of its log', async (t) => {
  const log = new MemoryLog({ events: 9, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'old' }])
  const { hub, subscribe } = await openHubOn(t, log)
  t.equal(hub.head, 1)
  const subscriber = await subscribe(['a'], { lastEventId: `${log.view.epoch}-0` })
  await until(() => subscriber.told('live').length === 1)
  t.strictSame(subscriber.data, ['old'])
})

await t.test('an error without onError does not end the process', async (t) => {
  const log = new MemoryLog({ events: 9, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  const hub = await Hub.open(log, {
    heartbeat: 1e9,
    maxAge: 0,
    presenceGrace: 0,
    maxCursorsPerSubject: 100,
    cursorTtl: 1e9,
    maxEventSize: 100,
  })
  t.teardown(() => hub.close())
  await t.rejects(hub.publish('a', { text: 'x'.repeat(101) }), { code: 'event-too-large' })
})

await t.test('a closed hub refuses calls', async (t) => {
  const { hub } = await openHub(t)
  await hub.publish('a', { data: 1 })
  await hub.close()
  const calls: (() => Promise<unknown>)[] = [
    () => hub.publish('a', { data: 1 }),
    () => hub.present('a'),
    () => hub.topic('a'),
    () => hub.purge('a'),
  ]
  for (const call of calls) await t.rejects(call(), { name: 'HubError', code: 'hub-closed' })
})

await t.test('ephemeral events of two processes on one log have different ids', async (t) => {
  const log = new MemoryLog({ events: 9, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  const ids = new Set<unknown>()
  for (let process = 0; process < 2; process++) {
    const { hub, subscribe } = await openHubOn(t, share(log))
    const subscriber = await subscribe(['a'], { format: 'cloudevents' })
    await hub.publish('a', { data: 1, ephemeral: true })
    await until(() => subscriber.data.length === 1)
    ids.add((JSON.parse(subscriber.data[0]!) as { id: unknown }).id)
  }
  t.equal(ids.size, 2)
})
