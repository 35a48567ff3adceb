/** The routes of finite topics. The conformance suite (test/e2e/durable-streams.test.ts) tests the protocol itself. */
import { once } from 'node:events'
import http from 'node:http'
import t from 'tap'
import { isProblem, listen, openApp } from './open-app.js'
import { token } from '../helper/token.js'
import { hubOf } from '../../src/plugins/hub.js'

const text = { 'content-type': 'text/plain' }
const json = { 'content-type': 'application/json' }

await t.test('a stream is created, appended to, read and closed', async (t) => {
  const { send } = await openApp(t)
  const created = await send({ method: 'PUT', url: '/streams/chats/42/r7', headers: { ...text, host: 'hub.example' } })
  t.equal(created.statusCode, 201)
  t.equal(created.headers.location, 'http://hub.example/streams/chats/42/r7')
  t.equal(created.headers['content-type'], 'text/plain')
  t.match(created.headers['stream-next-offset'], /^\d{16}$/)
  for (const payload of ['Hello', ', world'])
    t.equal((await send({ method: 'POST', url: '/streams/chats/42/r7', headers: text, payload })).statusCode, 204)

  const read = await send({ method: 'GET', url: '/streams/chats/42/r7' })
  t.match(read, { statusCode: 200, payload: 'Hello, world' })
  t.match(read.headers, {
    'content-type': 'text/plain',
    'stream-up-to-date': 'true',
    'cache-control': 'private, no-cache',
    'content-security-policy': /sandbox/,
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'cross-origin',
  })
  t.notOk('stream-closed' in read.headers)

  const closed = await send({ method: 'POST', url: '/streams/chats/42/r7', headers: { 'stream-closed': 'TRUE' } })
  t.equal(closed.statusCode, 204)
  const head = await send({ method: 'HEAD', url: '/streams/chats/42/r7' })
  t.equal(head.statusCode, 200)
  t.match(head.headers, { 'stream-closed': 'true', 'fanfare-status': 'done', 'cache-control': 'no-store' })
  t.equal(head.headers['stream-next-offset'], read.headers['stream-next-offset'])
  t.notOk('content-length' in head.headers)
})

await t.test('a path with other characters is another stream', async (t) => {
  const { app, send } = await openApp(t)
  const paths = ['a.b', 'a/b', 'a%2Fb', 'a%20b', 'a~2Eb', 'caf%C3%A9']
  for (const path of paths) {
    const created = await send({ method: 'PUT', url: `/streams/${path}`, headers: text, payload: path })
    t.equal(created.statusCode, 201, path)
  }
  for (const path of paths) t.equal((await send({ url: `/streams/${path}` })).payload, path)
  t.ok(await hubOf(app).finite.get('a~2Eb'), 'the topic of "a.b"')
})

await t.test('a path that is no topic is refused', async (t) => {
  const { send } = await openApp(t)
  for (const method of ['PUT', 'POST', 'GET', 'DELETE'] as const) {
    isProblem(t, await send({ method, url: '/streams/a//b' }), 400, 'invalid-topic')
    isProblem(t, await send({ method, url: `/streams/${'a'.repeat(65)}` }), 400, 'invalid-topic')
    isProblem(t, await send({ method, url: `/streams/${'a/'.repeat(20)}b` }), 400, 'invalid-topic')
    isProblem(t, await send({ method, url: '/streams/fanfare/x' }), 400, 'reserved-topic')
  }
})

await t.test('grants are those of the topic, and are checked before the stream is looked for', async (t) => {
  const { send } = await openApp(t)
  const reader = { authorization: `Bearer ${token({ sub: 'r', subscribe: ['chats.*'] })}` }
  const writer = { authorization: `Bearer ${token({ sub: 'w', publish: ['chats.*'] })}` }
  const put = (headers: Record<string, string>) =>
    send({ method: 'PUT', url: '/streams/chats/1', headers: { ...text, ...headers }, payload: 'x' })
  isProblem(t, await put(reader), 403, 'not-granted')
  isProblem(t, await put({ authorization: '' }), 401, 'missing-token')
  t.equal((await put(writer)).statusCode, 201)
  const requests = [
    { method: 'POST', headers: { ...text }, payload: 'y' },
    { method: 'DELETE', headers: {} },
  ] as const
  for (const url of ['/streams/chats/1', '/streams/chats/none']) {
    for (const { headers, ...request } of requests)
      isProblem(t, await send({ ...request, url, headers: { ...headers, ...reader } }), 403, 'not-granted')
    isProblem(t, await send({ url, headers: writer }), 403, 'not-granted')
    t.equal((await send({ method: 'HEAD', url, headers: writer })).statusCode, 403)
  }
  t.equal((await send({ url: '/streams/chats/1', headers: reader })).payload, 'x')
  isProblem(t, await send({ url: '/streams/other/1', headers: reader }), 403, 'not-granted')
  t.equal((await send({ method: 'DELETE', url: '/streams/chats/1', headers: writer })).statusCode, 204)
  isProblem(t, await send({ url: '/streams/chats/1', headers: reader }), 404, 'stream-not-found')
})

await t.test('topics that need no token are read without one', async (t) => {
  const { send } = await openApp(t, { anonymousSubscribe: ['public.**'] })
  await send({ method: 'PUT', url: '/streams/public/1', headers: text, payload: 'x' })
  const none = { authorization: null }
  t.equal((await send({ url: '/streams/public/1', headers: none })).payload, 'x')
  isProblem(t, await send({ method: 'DELETE', url: '/streams/public/1', headers: none }), 401, 'missing-token')
  isProblem(t, await send({ url: '/streams/private/1', headers: none }), 401, 'missing-token')
})

await t.test('a fork needs a grant to read its source', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/secret/1', headers: text, payload: 'x' })
  const fork = (grants: object, from: string) =>
    send({
      method: 'PUT',
      url: '/streams/mine/1',
      headers: { authorization: `Bearer ${token({ publish: ['mine.*'], ...grants })}`, 'stream-forked-from': from },
    })
  isProblem(t, await fork({}, '/streams/secret/1'), 403, 'not-granted')
  t.equal((await fork({ subscribe: ['secret.*'] }, '/streams/secret/1')).statusCode, 201)
  t.equal((await send({ url: '/streams/mine/1' })).payload, 'x')
  t.equal((await fork({ subscribe: ['secret.*'] }, '/secret/1')).statusCode, 200, 'the path below /streams')
})

await t.test('a stream is cancelled by a publisher or by its creator', async (t) => {
  const { send } = await openApp(t)
  const creator = { authorization: `Bearer ${token({ sub: 'u1', publish: ['runs.*'] })}` }
  await send({ method: 'PUT', url: '/streams/runs/1', headers: { ...text, ...creator }, payload: 'x' })
  const cancel = (grants: object, url = '/streams/runs/1/cancel') =>
    send({ method: 'POST', url, headers: { authorization: `Bearer ${token(grants)}` } })

  isProblem(t, await cancel({ sub: 'u2', subscribe: ['**'] }), 403, 'not-granted')
  isProblem(t, await cancel({ subscribe: ['**'] }), 403, 'not-granted')
  isProblem(t, await cancel({ sub: 'u1' }, '/streams/runs/none/cancel'), 403, 'not-granted')
  isProblem(t, await cancel({ publish: ['**'] }, '/streams/runs/none/cancel'), 404, 'stream-not-found')

  const cancelled = await cancel({ sub: 'u1' })
  t.equal(cancelled.statusCode, 200)
  t.match(cancelled.headers, { 'stream-closed': 'true', 'fanfare-status': 'cancelled' })
  t.strictSame(cancelled.json(), { topic: 'runs.1', status: 'cancelled' })
  const late = await send({ method: 'POST', url: '/streams/runs/1', headers: text, payload: 'y' })
  isProblem(t, late, 409, 'cancelled')
  t.match(late.headers, { 'stream-closed': 'true', 'stream-next-offset': /^\d{16}$/ })
  t.equal((await send({ url: '/streams/runs/1' })).headers['fanfare-status'], 'cancelled')
})

await t.test('who may not cancel is refused before the body', async (t) => {
  const { app } = await openApp(t)
  const { port } = new URL(await listen(app))
  for (const [authorization, status] of [
    ['', 401],
    [`Bearer ${token({ sub: 'other', publish: ['else'] })}`, 403],
  ] as const) {
    const request = http.request({ port, method: 'POST', path: '/streams/a/cancel' })
    if (authorization !== '') request.setHeader('authorization', authorization)
    request.setHeader('content-length', 1_000_000)
    request.on('error', () => undefined).flushHeaders() // the body never comes
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage]
    t.equal(answer.statusCode, status)
    request.destroy()
  }
})

await t.test('an array of very many messages is appended', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: json })
  const payload = JSON.stringify(Array.from({ length: 150_000 }, () => 0))
  t.equal((await send({ method: 'POST', url: '/streams/a', headers: json, payload })).statusCode, 204)
})

await t.test('a stream that has ended stays as it is when it is cancelled', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: { ...text, 'stream-closed': 'true' } })
  t.match((await send({ method: 'POST', url: '/streams/a/cancel' })).json(), { status: 'done' })
})

await t.test('no stream has the path of an operation', async (t) => {
  const { send } = await openApp(t)
  for (const url of ['/streams/a/cancel', '/streams/a/%63ancel'])
    isProblem(t, await send({ method: 'PUT', url, headers: text }), 400, 'invalid-stream')
  t.equal((await send({ method: 'PUT', url: '/streams/cancel', headers: text })).statusCode, 201)
})

await t.test('a writer ends a stream with an error', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: text })
  const close = (headers: Record<string, string>) => send({ method: 'POST', url: '/streams/a', headers })
  isProblem(t, await close({ 'fanfare-status': 'error' }), 400, 'invalid-request')
  isProblem(t, await close({ 'stream-closed': 'true', 'fanfare-status': 'bad' }), 400, 'invalid-request')
  t.equal((await close({ 'stream-closed': 'true', 'fanfare-status': 'error' })).statusCode, 204)
  t.equal((await send({ url: '/streams/a' })).headers['fanfare-status'], 'error')
})

await t.test('only a lease makes a request without a body meaningful', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: text })
  const post = (headers: Record<string, string>) => send({ method: 'POST', url: '/streams/a', headers })
  isProblem(t, await post({}), 400, 'invalid-request')
  isProblem(t, await post({ 'fanfare-lease': '30' }), 400, 'invalid-request')
  isProblem(t, await post({ 'fanfare-lease': '10ms' }), 400, 'invalid-request')
  const before = await send({ method: 'HEAD', url: '/streams/a' })
  const renewed = await post({ 'fanfare-lease': '30s' })
  t.equal(renewed.statusCode, 204)
  t.equal(renewed.headers['stream-next-offset'], before.headers['stream-next-offset'])
})

await t.test('a stream whose lease ends without an append ends with an error', async (t) => {
  const { app, send } = await openApp(t)
  await listen(app) // a listening server keeps the process alive during the wait
  await send({ method: 'PUT', url: '/streams/a', headers: { ...text, 'fanfare-lease': '1s' } })
  await hubOf(app).finite.wait('a', Number.MAX_SAFE_INTEGER, AbortSignal.timeout(10_000))
  t.equal((await send({ method: 'HEAD', url: '/streams/a' })).headers['fanfare-status'], 'error')
})

await t.test('invalid headers are refused', async (t) => {
  const { send } = await openApp(t)
  const put = (headers: Record<string, string>) => send({ method: 'PUT', url: '/streams/new', headers })
  const invalid: Record<string, string>[] = [
    { 'stream-ttl': '01' },
    { 'stream-ttl': '-1' },
    { 'stream-ttl': '9007199254740991' },
    { 'stream-expires-at': 'tomorrow' },
    { 'stream-expires-at': '2030-01-01' },
    { 'stream-ttl': '1', 'stream-expires-at': '2030-01-01T00:00:00Z' },
    { 'stream-fork-offset': '0000000000000000' },
    { 'stream-fork-sub-offset': '0' },
    { 'content-type': `text/${'x'.repeat(300)}` },
  ]
  for (const headers of invalid) isProblem(t, await put(headers), 400, 'invalid-stream', JSON.stringify(headers))
  isProblem(t, await put({ 'fanfare-coalesce': '1m' }), 400, 'invalid-request')
  isProblem(t, await put({ 'fanfare-lease': '5s', 'stream-closed': 'true' }), 400, 'invalid-request')
  isProblem(t, await put({ 'content-type': 'text' }), 415, 'unsupported-media-type')
  isProblem(
    t,
    await send({ method: 'PUT', url: '/streams/new', headers: { ...text, 'content-encoding': 'gzip' }, payload: 'x' }),
    415,
    'unsupported-media-type',
  )
  t.equal((await send({ method: 'HEAD', url: '/streams/new' })).statusCode, 404, 'nothing was created')
})

await t.test('the refusal of a producer tells the epoch or the number', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: text })
  const append = (epoch: number, seq: number) =>
    send({
      method: 'POST',
      url: '/streams/a',
      headers: { ...text, 'producer-id': 'p', 'producer-epoch': String(epoch), 'producer-seq': String(seq) },
      payload: 'x',
    })
  const first = await append(1, 0)
  t.match(first, { statusCode: 200, headers: { 'producer-epoch': '1', 'producer-seq': '0' } })
  t.equal((await append(1, 0)).statusCode, 204, 'a retry')
  const fenced = await append(0, 0)
  const { detail } = isProblem(t, fenced, 403, 'producer-fenced')
  t.notMatch(detail, /token/i)
  t.equal(fenced.headers['producer-epoch'], '1')
  t.notOk('www-authenticate' in fenced.headers)
  const gap = await append(1, 5)
  isProblem(t, gap, 409, 'producer-gap')
  t.match(gap.headers, { 'producer-expected-seq': '1', 'producer-received-seq': '5' })
})

await t.test('a client that has a page is not sent it again', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: text, payload: 'x' })
  const first = await send({ url: '/streams/a' })
  const etag = String(first.headers.etag)
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const second = await send({ url: '/streams/a', headers: { 'if-none-match': known } })
    t.match(second, { statusCode: 304, payload: '', headers: { etag, 'cache-control': 'private, no-cache' } }, known)
    t.equal(second.headers['stream-next-offset'], first.headers['stream-next-offset'])
  }
  await send({ method: 'POST', url: '/streams/a', headers: { 'stream-closed': 'true' } })
  const closed = await send({ url: '/streams/a', headers: { 'if-none-match': etag } })
  t.match(closed, { statusCode: 200, headers: { 'stream-closed': 'true' } }, 'the end is news')
})

await t.test('a large stream is read in chunks', async (t) => {
  const { send } = await openApp(t)
  const body = Buffer.alloc(2_500_000, 'ab')
  await send({ method: 'PUT', url: '/streams/a', headers: { 'stream-closed': 'true' }, payload: body })
  const parts: Buffer[] = []
  for (let offset = '-1'; ;) {
    const { rawPayload, headers } = await send({ url: `/streams/a?offset=${offset}` })
    parts.push(rawPayload)
    offset = String(headers['stream-next-offset'])
    t.equal(headers['stream-closed'], headers['stream-up-to-date'], 'the end is told with the last chunk')
    if (headers['stream-up-to-date']) break
  }
  t.ok(parts.length > 1)
  t.ok(Buffer.concat(parts).equals(body))
})

await t.test('a message that is too large is refused', async (t) => {
  const { send } = await openApp(t, { maxEventSize: 1_000 })
  await send({ method: 'PUT', url: '/streams/json', headers: json })
  await send({ method: 'PUT', url: '/streams/text', headers: text })
  const post = (name: string, headers: Record<string, string>, payload: string) =>
    send({ method: 'POST', url: `/streams/${name}`, headers, payload })
  isProblem(t, await post('json', json, JSON.stringify('x'.repeat(1_000))), 413, 'event-too-large')
  isProblem(t, await post('json', json, JSON.stringify('x'.repeat(9_000))), 413, 'body-too-large')
  isProblem(t, await post('text', text, 'x'.repeat(64_001)), 413, 'body-too-large')
  t.equal((await post('text', text, 'x'.repeat(64_000))).statusCode, 204, 'bytes have no boundaries')
  t.equal((await send({ url: '/streams/text' })).payload.length, 64_000)
  t.equal((await send({ url: '/streams/json' })).payload, '[]')
})

await t.test('an offset behind the tail, and an unknown mode, are refused', async (t) => {
  const { send } = await openApp(t)
  await send({ method: 'PUT', url: '/streams/a', headers: text })
  isProblem(t, await send({ url: '/streams/a?offset=0000000000009999' }), 400, 'invalid-offset')
  isProblem(t, await send({ url: '/streams/a?offset=-1&live=poll' }), 400, 'invalid-request')
  isProblem(t, await send({ url: '/streams/a?live=sse' }), 400, 'invalid-offset')
  isProblem(t, await send({ url: '/streams/a?offset=-1&offset=-1' }), 400, 'invalid-request')
  t.equal((await send({ url: '/streams/a?offset=-1&utm=x' })).statusCode, 200, 'other parameters are ignored')
})

await t.test('another method is refused with those that are allowed', async (t) => {
  const { send } = await openApp(t)
  const patched = await send({ method: 'PATCH', url: '/streams/a/b' })
  isProblem(t, patched, 405, 'method-not-allowed')
  t.equal(patched.headers.allow, 'DELETE, GET, HEAD, POST, PUT')
  isProblem(t, await send({ url: '/streams' }), 404, 'not-found')
})

await t.test('pages of an allowed origin can read the headers of the protocol', async (t) => {
  const { send } = await openApp(t, { corsOrigins: ['https://app.example.com'] })
  const origin = 'https://app.example.com'
  const answer = await send({ method: 'PUT', url: '/streams/a', headers: { ...text, origin } })
  const exposed = String(answer.headers['access-control-expose-headers'])
  for (const name of ['Stream-Next-Offset', 'Producer-Epoch', 'ETag', 'Location', 'Retry-After', 'Fanfare-Status'])
    t.ok(exposed.split(', ').includes(name), name)
  const preflight = await send({
    method: 'OPTIONS',
    url: '/streams/a',
    headers: {
      origin,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'stream-ttl,producer-id,fanfare-lease',
    },
  })
  t.match(preflight.headers, {
    'access-control-allow-methods': /PUT.*DELETE/,
    'access-control-allow-headers': 'stream-ttl, producer-id, fanfare-lease',
  })
  const elsewhere = await send({ url: '/status', headers: { origin } })
  t.notMatch(elsewhere.headers['access-control-expose-headers'], /Stream/, 'other routes have no such headers')
})

await t.test('a refusal has the security headers too', async (t) => {
  const { send } = await openApp(t)
  for (const headers of [{}, { authorization: null }, { authorization: 'Bearer x' }]) {
    const answer = await send({ url: '/streams/none', headers })
    t.match(answer.headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
  }
})

await t.test('a publish rate limits creations and appends', async (t) => {
  const { send } = await openApp(t, { publishRate: 2 })
  t.equal((await send({ method: 'PUT', url: '/streams/a', headers: text })).statusCode, 201)
  t.equal((await send({ method: 'POST', url: '/streams/a', headers: text, payload: 'x' })).statusCode, 204)
  isProblem(t, await send({ method: 'POST', url: '/streams/a', headers: text, payload: 'x' }), 429, 'rate-limited')
})

await t.test('the description of a topic has the state of its stream', async (t) => {
  const { send } = await openApp(t)
  const creator = { authorization: `Bearer ${token({ sub: 'u1', publish: ['**'], subscribe: ['**'] })}` }
  await send({ method: 'PUT', url: '/streams/a/v1.0', headers: { ...text, ...creator }, payload: 'four' })
  const describe = (grants: object, topic = 'a.v1~2E0') =>
    send({ url: `/topics/${topic}`, headers: { authorization: `Bearer ${token({ sub: 'u2', ...grants })}` } })
  const { stream } = (await describe({ subscribe: ['**'] })).json<{ stream: object }>()
  const state = { path: '/streams/a/v1.0', status: 'open', contentType: 'text/plain', size: 4 }
  t.match(stream, { ...state, createdAt: /^\d{4}-/ })
  t.notOk('createdBy' in stream)
  t.match((await describe({ admin: true })).json(), { stream: { ...state, createdBy: 'u1' } })
  isProblem(t, await describe({ subscribe: ['b'] }), 403, 'not-granted')
  t.notOk('stream' in (await describe({ subscribe: ['**'] }, 'other')).json<object>())
})
