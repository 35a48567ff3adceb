/** Reads of finite topics. Long polls are on sockets. */
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { buildApp } from '../../../src/app.js'
import { monotonicNow } from '../../../src/model/clock.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { poll } from '../../helper/deadline.js'
import { anyTopic, SECRET } from '../../helper/token.js'
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

await t.test('no read writes to the log of the process', async (t) => {
  const lines: string[] = []
  const write = (chunk: Buffer, _encoding: unknown, done: () => void) => {
    lines.push(chunk.toString())
    done()
  }
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET }, pino({ level: 'warn' }, new Writable({ write })))
  t.teardown(() => app.close())
  await app.ready()
  const { finite } = hubOf(app)
  await finite.create('a', { contentType: 'text/plain' }, { messages: [{ kind: 'text', payload: 'x' }], end: 'done' })
  const authorization = `Bearer ${anyTopic()}`
  const read = (query: string, headers = {}) =>
    app.inject({ url: `/streams/a${query}`, headers: { authorization, ...headers } })
  const { headers } = await read('')
  t.equal((await read('', { 'if-none-match': headers['etag'] })).statusCode, 304)
  t.equal((await read('?offset=now')).statusCode, 200)
  t.equal((await read('?offset=-1&live=long-poll')).statusCode, 200)
  t.equal((await read('?offset=now&live=long-poll')).statusCode, 204)
  t.match(await read('?offset=-1&live=sse'), { statusCode: 200, body: /streamClosed/ })
  const lastId = { 'last-event-id': headers['stream-next-offset'] }
  t.equal((await read('?offset=-1&live=sse', lastId)).statusCode, 204)
  await app.close()
  t.strictSame(lines, [])
})
