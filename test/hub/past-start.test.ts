/**
 * Streams that begin before the head: from a time, or with the newest event of each topic. Also streams that observe.
 */
import t from 'tap'
import { settle, until } from './fake-sink.js'
import { openHub, openHubOn } from './open-hub.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'

const seen = ({ data }: { data: string[] }) => data.map(Number)

await t.test('from=start sends every retained event, and a gap for trimmed ones', async (t) => {
  const { hub, subscribe } = await openHub(t, {}, { events: 3 })
  for (let n = 1; n <= 3; n++) await hub.publish('a', { data: n })
  const whole = await subscribe(['a'], { from: 'start' })
  await until(() => whole.told('live').length === 1)
  t.strictSame([seen(whole), whole.told('gap')], [[1, 2, 3], []])
  for (let n = 4; n <= 5; n++) await hub.publish('a', { data: n })
  const part = await subscribe(['a'], { from: 'start' })
  await until(() => part.told('live').length === 1)
  t.strictSame(seen(part), [3, 4, 5])
  t.match(part.told('gap'), [{ reason: 'expired', after: hub.cursor(0), oldest: hub.cursor(3) }])
  const all = await subscribe(['a'], { replay: 'all' })
  await until(() => all.told('live').length === 1)
  t.strictSame(all.told('gap'), [], 'a replay gets no gap')
})

await t.test('from=<time> sends every event since, and a gap if retention does not reach back', async (t) => {
  const clock = { now: 1_000 }
  const log = new MemoryLog({ events: 4, age: 1e12, bytes: 1e12, dedupWindow: 0 }, () => clock.now)
  const { hub, subscribe } = await openHubOn(t, log)
  for (let n = 1; n <= 10; n++) {
    clock.now += 10
    await hub.publish('a', { data: n })
    await hub.publish('b', { data: n })
  }
  const read = async (from: number, ...patterns: string[]) => {
    const stream = await subscribe(patterns, { from })
    await until(() => stream.told('live').length === 1)
    return { data: seen(stream), gap: stream.told('gap').map((gap) => (gap as { reason: string }).reason) }
  }
  t.strictSame(await read(1_080, 'a'), { data: [8, 9, 10], gap: [] })
  t.strictSame(await read(1_071, 'a'), { data: [8, 9, 10], gap: [] })
  t.strictSame(await read(1_050, 'a'), { data: [7, 8, 9, 10], gap: ['expired'] })
  t.strictSame(await read(1_090, 'a', 'b'), { data: [9, 9, 10, 10], gap: [] })
  t.strictSame(await read(5_000, 'a'), { data: [], gap: [] })
  t.strictSame(await read(0, 'nothing'), { data: [], gap: [] })
  clock.now -= 50
  await hub.publish('a', { data: 11 })
  t.strictSame((await read(1_100, 'a')).data, [10, 11], 'events from after the clock went back are included')
  t.strictSame((await read(1_055, 'a')).data, [8, 9, 10, 11])
})

await t.test('replay=latest sends the newest event of each topic, then every new event', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++)
    for (const topic of ['x.a', 'x.b']) await hub.publish(topic, { data: n, type: n === 3 ? 'late' : 'early' })
  const locating = subscribe(['x.*'], { replay: 'latest' })
  const typed = subscribe(['x.*'], { replay: 'latest', types: ['early'] })
  const stream = await locating
  for (let n = 4; n <= 6; n++) await hub.publish('x.a', { data: n }) // before the replay has been read
  await until(() => stream.told('live').length === 1 && seen(stream).includes(6))
  t.strictSame(seen(stream), [3, 3, 4, 5, 6])
  t.equal(stream.blocks[0]!.id, hub.cursor(4), 'the first block has the cursor before the events')
  t.strictSame(stream.told('gap'), [])
  const early = await typed
  await until(() => early.told('live').length === 1)
  t.strictSame(seen(early), [2, 2])
  const none = await subscribe(['nothing'], { replay: 'latest' })
  await until(() => none.told('live').length === 1)
  t.equal(none.blocks[0]!.id, hub.cursor(hub.head))
})

await t.test('replay=latest of many topics is in log order, over many batches', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const topics = Array.from({ length: 2_500 }, (_, n) => `many.${n}`)
  for (let round = 0; round < 2; round++) {
    const events = topics.map((topic, n) => ({ topic, data: round * 10_000 + n }))
    for (let first = 0; first < events.length; first += 1_000) await hub.publishAll(events.slice(first, first + 1_000))
  }
  const stream = await subscribe(['many.*'], { replay: 'latest' })
  await until(() => stream.told('live').length === 1)
  t.strictSame(
    seen(stream),
    topics.map((_, n) => 10_000 + n),
  )
})

await t.test('a topic that is added before replay=latest has been read gets its events after the cursor', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 3; n++) for (const topic of ['a', 'b']) await hub.publish(topic, { data: n })
  const subscriber = await subscribe(['a'], { replay: 'latest' })
  hub.streams.move(subscriber.stream, subscriber.stream.feed.selection.of(['a', 'b']))
  await until(() => subscriber.told('live').length === 1)
  t.strictSame(seen(subscriber), [3, 3])
  const other = await subscribe(['b'], { replay: 'latest' })
  await until(() => other.told('live').length === 1)
  t.strictSame(other.told('gap'), [])
})

await t.test('an observing stream gets all events, and is neither counted nor present', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const watcher = await subscribe(['room', 'fanfare.connections'], { subject: 'watcher', observes: true })
  await settle()
  t.strictSame(await hub.present('room'), [])
  t.equal((await hub.topic('room')).subscribers, 0)
  t.equal((await hub.publish('room', { data: 1 })).subscribers, 0)
  const user = await subscribe(['room', 'fanfare.connections'], { subject: 'user' })
  t.equal((await hub.publish('room', { data: 2 })).subscribers, 1)
  t.equal((await hub.topic('room')).subscribers, 1)
  t.match(await hub.present('room'), [{ subject: 'user', connections: 1 }])
  hub.streams.move(watcher.stream, watcher.stream.feed.selection.of(['room', 'fanfare.connections', 'hall']))
  await hub.publish('hall', { data: 3 })
  t.equal((await hub.topic('hall')).subscribers, 0)
  user.close()
  await until(() => watcher.data.length >= 5)
  t.equal((await hub.publish('room', { data: 4 })).subscribers, 0)
  await until(() => watcher.data.at(-1) === '4')
  t.match(
    watcher.data.filter((text) => text.startsWith('{')).map((text) => (JSON.parse(text) as { change: string }).change),
    ['opened', 'opened', 'changed', 'closed'],
    'an observing stream gets the system topics',
  )

  const { principal } = watcher.stream.info
  hub.streams.renew(watcher.stream, { ...principal, admin: true })
  t.equal((await hub.topic('room')).subscribers, 0)
  hub.streams.renew(watcher.stream, { ...principal, admin: false })
  t.equal((await hub.topic('room')).subscribers, 1, 'without admin the stream counts')
  t.match(await hub.present('room'), [{ subject: 'watcher', connections: 1 }])
  watcher.close()
  t.equal((await hub.topic('room')).subscribers, 0)
  t.strictSame(await hub.present('room'), [])
})
