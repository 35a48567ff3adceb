/** Long polls of finite topics, on sockets. */
import t from 'tap'
import { monotonicNow } from '../../../src/model/clock.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { poll } from '../../helper/deadline.js'
import { anyTopic } from '../../helper/token.js'
import { openStreams } from './open-streams.js'

await t.test('a long poll waits for messages', async (t) => {
  const { app, create, append, call } = await openStreams(t)
  await create('a', 'text/plain', 'one')
  const polled = call('GET', 'a?offset=now&live=long-poll')
  await poll(
    async () => (hubOf(app).connections.size === 1 ? true : undefined),
    () => 'a live read',
  )
  await append('a', 'two')
  t.match(await polled, { status: 200, body: 'two' })
  t.match((await polled).headers.get('stream-cursor'), /^\d+$/)
  t.equal((await polled).headers.get('cache-control'), 'no-store')
  t.equal(hubOf(app).connections.size, 0)
})

await t.test('a long poll is answered without messages after a while', async (t) => {
  const { create, call } = await openStreams(t, { longPoll: 200 })
  const { headers } = await create('a', 'text/plain', 'one')
  const began = monotonicNow()
  const answer = await call('GET', 'a?offset=now&live=long-poll')
  t.ok(monotonicNow() - began >= 190)
  t.equal(answer.status, 204)
  t.equal(answer.headers.get('stream-next-offset'), headers.get('stream-next-offset'))
  t.equal(answer.headers.get('stream-up-to-date'), 'true')
})

await t.test('a long poll ends with the stream', async (t) => {
  const { app, create, call } = await openStreams(t)
  await create('a', 'text/plain', 'one')
  const polled = call('GET', 'a?offset=now&live=long-poll')
  await poll(
    async () => (hubOf(app).connections.size === 1 ? true : undefined),
    () => 'a live read',
  )
  await call('POST', 'a/cancel')
  const answer = await polled
  t.equal(answer.status, 204)
  t.equal(answer.headers.get('stream-closed'), 'true')
  t.equal(answer.headers.get('fanfare-status'), 'cancelled')
  t.equal(answer.headers.get('stream-cursor'), null)
})

await t.test('a long poll of a client that has gone ends', async (t) => {
  const { app, create, url } = await openStreams(t)
  await create('a', 'text/plain', 'one')
  const leaving = new AbortController()
  const headers = { authorization: `Bearer ${anyTopic()}` }
  const polled = fetch(`${url}a?offset=now&live=long-poll`, { headers, signal: leaving.signal })
  const { connections } = hubOf(app)
  await poll(
    async () => (connections.size === 1 ? true : undefined),
    () => 'a live read',
  )
  leaving.abort()
  await t.rejects(polled)
  await poll(
    async () => (connections.size === 0 ? true : undefined),
    () => 'the live read did not end',
  )
})
