/** Streams of a topic that is purged while they read it. */
import t from 'tap'
import { until } from './fake-sink.js'
import { openHub } from './open-hub.js'

const LARGE = 'x'.repeat(100_000)

await t.test('a stream in catch-up gets a gap for purged events', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 1; n <= 20; n++) await hub.publish(n % 2 === 0 ? 'a' : 'b', { data: `${n} ${LARGE}` })
  const slow = await subscribe(['a', 'b'], { replay: 'all' })
  slow.stall(2)
  await until(() => slow.isFull)
  const got = slow.data.length
  t.ok(got > 0 && got < 10)
  t.equal(await hub.purge('a'), 10)
  slow.drain()
  await until(() => slow.told('live').length === 1)
  t.match(slow.told('gap')[0], { reason: 'expired' })
  t.strictSame(
    slow.data
      .slice(got)
      .map((data) => parseInt(data.slice(1)))
      .filter((n) => n % 2 === 0),
    [],
    'purged events of earlier reads are not sent',
  )
  t.equal(slow.data.filter((data) => parseInt(data.slice(1)) % 2 === 1).length, 10, 'all other events are sent')
})

await t.test('a purge invalidates cached batches', async (t) => {
  const { hub, subscribe } = await openHub(t)
  await hub.publishAll([
    { topic: 'a', data: 1 },
    { topic: 'a', data: 2 },
  ])
  const first = await subscribe(['a'], { lastEventId: hub.cursor(0) })
  await until(() => first.told('live').length === 1)
  t.strictSame(first.data, ['1', '2'])
  await hub.purge('a')
  const second = await subscribe(['a'], { lastEventId: hub.cursor(0) })
  await until(() => second.told('live').length === 1)
  t.strictSame(second.data, [])
  t.match(second.told('gap'), [{ reason: 'expired', after: hub.cursor(0), oldest: null }])
  const third = await subscribe(['a'], { lastEventId: hub.cursor(2) })
  await until(() => third.told('live').length === 1)
  t.strictSame(third.told('gap'), [], 'a stream with all events gets no gap')
  await hub.publish('a', { data: 3 })
  await until(() => [first, second, third].every((sink) => sink.data.at(-1) === '3'))
  t.strictSame(first.told('gap'), [], 'a stream that was live gets no gap')
})
