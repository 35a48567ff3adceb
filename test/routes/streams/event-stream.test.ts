/** Event streams of finite topics, on sockets. */
import t from 'tap'
import { monotonicNow } from '../../../src/model/clock.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { HubError } from '../../../src/model/hub-error.js'
import { anyTopic, token } from '../../helper/token.js'
import { poll } from '../../helper/deadline.js'
import { controlsOf, dataOf, openStreams } from './open-streams.js'

await t.test('a subscriber gets what is stored, then each append, then the end', async (t) => {
  const { create, append, call, events } = await openStreams(t)
  await create('a', 'text/plain', 'one')
  const stream = await events(t, 'a?offset=-1&live=sse')
  t.match(stream.headers, {
    'content-type': 'text/event-stream',
    'cache-control': /no-cache/,
    'x-content-type-options': 'nosniff',
    'x-accel-buffering': 'no',
  })
  await stream.until(() => controlsOf(stream).length === 1)
  await append('a', ' two')
  await stream.until(() => dataOf(stream).length === 2)
  await call('POST', 'a/cancel')
  await stream.closed
  t.strictSame(dataOf(stream), ['one', ' two'])
  t.match(controlsOf(stream).at(-1), { streamClosed: true, fanfareStatus: 'cancelled' })
})

await t.test('an EventSource resumes with its last id, and stops at the end', async (t) => {
  const { create, append, call, events, url } = await openStreams(t)
  await create('a', 'text/plain', 'one')
  const first = await events(t, 'a?offset=-1&live=sse')
  await first.until(() => controlsOf(first).length === 1)
  first.destroy()
  await append('a', 'two')
  const second = await events(t, 'a?offset=-1&live=sse', { lastEventId: first.lastId! })
  await second.until(() => dataOf(second).length === 1)
  t.strictSame(dataOf(second), ['two'])
  await call('POST', 'a', { headers: { 'stream-closed': 'true' } })
  await second.closed
  const headers = { authorization: `Bearer ${anyTopic()}`, 'last-event-id': second.lastId! }
  t.equal((await fetch(`${url}a?offset=-1&live=sse`, { headers })).status, 204)
})

await t.test('messages that follow closely are gathered if the stream coalesces', async (t) => {
  const { create, append, events, finite } = await openStreams(t)
  await create('a', 'text/plain', undefined, { 'fanfare-coalesce': '300ms' })
  const stream = await events(t, 'a?offset=-1&live=sse')
  await stream.until(() => controlsOf(stream).length === 1)
  for (let n = 0; n < 10; n++) await append('a', String(n))
  await finite.append('a', { messages: [], end: 'done' })
  await stream.closed
  t.equal(dataOf(stream).join(''), '0123456789')
  t.ok(dataOf(stream).length < 5, `${dataOf(stream).length} events`)
})

await t.test('a stream without messages gets control events', async (t) => {
  const { create, events } = await openStreams(t, { heartbeat: 200 })
  await create('a', 'text/plain')
  const stream = await events(t, 'a?offset=now&live=sse')
  await stream.until(() => controlsOf(stream).length >= 3)
  t.ok(controlsOf(stream).every(({ upToDate }) => upToDate))
})

await t.test('a subscriber keeps a stream from expiring', async (t) => {
  const { create, events, call } = await openStreams(t)
  await create('a', 'text/plain', 'x', { 'stream-ttl': '1' })
  await create('b', 'text/plain', 'x', { 'stream-ttl': '1' })
  const stream = await events(t, 'a?offset=-1&live=sse')
  await poll(
    async () => ((await call('HEAD', 'b')).status === 404 ? true : undefined),
    () => 'b did not expire',
  )
  t.equal((await call('HEAD', 'a')).status, 200)
  stream.destroy()
  await poll(
    async () => ((await call('HEAD', 'a')).status === 404 ? true : undefined),
    () => 'a did not expire',
  )
})

await t.test('a stream ends when the topic is deleted', async (t) => {
  const { create, events, call } = await openStreams(t)
  await create('a', 'text/plain')
  const stream = await events(t, 'a?offset=-1&live=sse')
  await stream.until(() => controlsOf(stream).length === 1)
  await call('DELETE', 'a')
  await stream.closed
  t.notOk(controlsOf(stream).at(-1)?.streamClosed)
})

await t.test('live reads end within a second of the expiry of their token', async (t) => {
  const { create, events, call } = await openStreams(t)
  await create('a', 'text/plain')
  const exp = Date.now() / 1_000 + 1.5
  const bearer = token({ subscribe: ['**'], exp })
  const stream = await events(t, 'a?offset=-1&live=sse', { token: bearer })
  const polled = call('GET', 'a?offset=now&live=long-poll', { token: bearer })
  await stream.closed
  t.equal((await polled).status, 401)
  const late = Date.now() / 1_000 - exp
  t.ok(late > -0.1 && late < 1, `${late} s`)
})

await t.test('live reads end within a second of the revocation of their token', async (t) => {
  const { app, create, events, call } = await openStreams(t)
  await create('a', 'text/plain')
  const bearer = token({ subscribe: ['**'], sub: 'u1' })
  const stream = await events(t, 'a?offset=-1&live=sse', { token: bearer })
  const polled = call('GET', 'a?offset=now&live=long-poll', { token: bearer })
  await poll(
    async () => (hubOf(app).connections.size === 2 ? true : undefined),
    () => 'two live reads',
  )
  const began = monotonicNow()
  const revoked = await app.inject({
    method: 'POST',
    url: '/revocations',
    headers: { authorization: `Bearer ${token({ sub: 'root', admin: true })}` },
    payload: { subject: 'u1', until: new Date(Date.now() + 60_000).toISOString() },
  })
  t.equal(revoked.statusCode, 201)
  await stream.closed
  t.equal((await polled).status, 401)
  t.ok(monotonicNow() - began < 1_000)
})

await t.test('live reads count as streams', async (t) => {
  const { app, create, events, url, call } = await openStreams(t, { maxConnectionsPerSubject: 1 })
  await create('a', 'text/plain')
  const bearer = token({ subscribe: ['**'], sub: 'u1' })
  const stream = await events(t, 'a?offset=-1&live=sse', { token: bearer })
  const { connections } = hubOf(app)
  t.equal(connections.size, 1)
  for (const live of ['sse', 'long-poll']) {
    const answer = await fetch(`${url}a?offset=now&live=${live}`, { headers: { authorization: `Bearer ${bearer}` } })
    t.equal(answer.status, 503, live)
    t.equal(((await answer.json()) as { code: string }).code, 'too-many-connections')
    t.ok(answer.headers.get('retry-after'))
  }
  t.equal((await call('GET', 'a', { token: bearer })).status, 200, 'a read of what is stored is no stream')
  stream.destroy()
  await poll(
    async () => (connections.size === 0 ? true : undefined),
    () => 'the live read did not end',
  )
  t.equal(connections.ofSubject('u1'), 0)
})

await t.test('a temporary refusal does not stop an EventSource', async (t) => {
  const { app, create, events, call } = await openStreams(t, { maxConnections: 1 })
  await create('a', 'text/plain')
  const refused = async (what: string) => {
    const stream = await events(t, 'a?offset=-1&live=sse')
    await stream.closed
    t.match(stream, { status: 200, all: [{ type: 'fanfare.close', data: /^{"reason":"busy","retry":\d+}$/ }] }, what)
    t.match(stream.headers, { 'content-type': /^text\/event-stream/, 'x-content-type-options': 'nosniff' })
    t.ok(stream.retries[0]! >= 5_000, 'the browser waits')
    const { status, headers } = await call('GET', 'a?offset=-1&live=sse') // accepts anything
    t.equal(status, 503, what)
    t.ok(headers.get('retry-after'), 'a client of the protocol gets its answer')
  }
  const open = await events(t, 'a?offset=-1&live=sse')
  await refused('too many streams')
  open.destroy()
  const { finite } = hubOf(app)
  const get = finite.get.bind(finite)
  finite.get = () => Promise.reject(new HubError('log-unavailable', 'away'))
  await refused('the log is away')
  finite.get = get
  await hubOf(app).drain(0)
  await refused('the hub stops')
  t.equal((await call('GET', 'none?offset=-1&live=sse', { headers: { accept: 'text/event-stream' } })).status, 404)
})

await t.test('a stream that fails tells an EventSource when to try again', async (t) => {
  const { create, events, finite } = await openStreams(t, { heartbeat: 100 })
  await create('a', 'text/plain')
  const stream = await events(t, 'a?offset=-1&live=sse')
  await stream.until(() => controlsOf(stream).length === 1)
  finite.read = () => Promise.reject(new HubError('log-unavailable', 'away'))
  await stream.closed
  t.match(stream.all.at(-1), { type: 'fanfare.close', data: /"busy"/ })
})

await t.test('a ticket opens an event stream only', async (t) => {
  const { app, create, events, url } = await openStreams(t)
  await create('a', 'text/plain', 'x')
  const issued = await app.inject({
    method: 'POST',
    url: '/tickets',
    headers: { authorization: `Bearer ${anyTopic()}` },
  })
  const { ticket } = issued.json<{ ticket: string }>()
  const stream = await events(t, `a?offset=-1&live=sse&ticket=${ticket}`, { token: undefined } as never)
  await stream.until(() => dataOf(stream).length === 1)
  for (const query of ['offset=-1', 'offset=now&live=long-poll'])
    t.equal((await fetch(`${url}a?${query}&ticket=${ticket}`)).status, 401, query)
})

await t.test('a hub that stops ends live reads cleanly', async (t) => {
  const { app, create, events, call } = await openStreams(t)
  await create('a', 'text/plain', 'x')
  const stream = await events(t, 'a?offset=-1&live=sse')
  const polled = call('GET', 'a?offset=now&live=long-poll')
  await poll(
    async () => (hubOf(app).connections.size === 2 ? true : undefined),
    () => 'two live reads',
  )
  await hubOf(app).drain(0)
  await stream.closed
  t.match(await polled, { status: 204 })
  t.equal((await polled).headers.get('connection'), 'close')
  t.equal((await call('GET', 'a?offset=now&live=long-poll')).status, 503)
})

await t.test('a subscriber that does not read is ended, and is sent the rest later', async (t) => {
  const { app, create, events, finite } = await openStreams(t, { slowTimeout: 500 })
  await create('a', 'text/plain')
  const slow = await events(t, 'a?offset=-1&live=sse')
  await slow.until(() => controlsOf(slow).length === 1)
  slow.pause()
  const { connections } = hubOf(app)
  const part = 'x'.repeat(60_000)
  const COUNT = 250 // more than the buffers of both sockets hold
  for (let n = 0; n < COUNT; n += 10) {
    const messages = Array.from({ length: 10 }, (_, m) => ({ kind: 'text' as const, payload: `${n + m} ${part}` }))
    await finite.append('a', { messages })
  }
  await poll(
    async () => (connections.size === 0 ? true : undefined),
    () => 'it was not ended',
  )
  slow.resume()
  await slow.closed
  await finite.append('a', { messages: [], end: 'done' })
  const again = await events(t, 'a?offset=-1&live=sse', { lastEventId: slow.lastId! })
  await again.closed
  const read = [...dataOf(slow).slice(0, controlsOf(slow).length), ...dataOf(again)].join('')
  t.equal(read.replaceAll('x', '').trim().split(/\s+/).length, COUNT, 'each message once')
})

await t.test('a hundred subscribers share the reads of a stream', async (t) => {
  const { create, append, events, finite } = await openStreams(t)
  await create('a', 'text/plain')
  const streams = await Promise.all(Array.from({ length: 100 }, () => events(t, 'a?offset=-1&live=sse')))
  await Promise.all(streams.map((stream) => stream.until(() => controlsOf(stream).length === 1)))
  const read = finite.read.bind(finite)
  let reads = 0
  finite.read = (...args) => {
    reads++
    return read(...args)
  }
  for (let n = 0; n < 10; n++) {
    await append('a', `${n} `)
    await Promise.all(streams.map((stream) => stream.until(() => dataOf(stream).join('').includes(String(n)))))
  }
  t.ok(reads < 100, `${reads} reads for 10 appends to 100 subscribers`)
  streams.forEach((stream) => stream.destroy())
})
