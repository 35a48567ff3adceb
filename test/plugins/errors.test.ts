import net from 'node:net'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { buildApp } from '../../src/app.js'
import fanfare from '../../src/index.js'
import { refusals } from '../../src/errors.js'
import { hubOf } from '../../src/plugins/hub.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { isProblem, listen, openApp } from '../routes/open-app.js'

await t.test('every code has a status and a title', (t) => {
  for (const [code, { status, title }] of Object.entries(refusals)) {
    t.match(code, /^[a-z]+(-[a-z]+)*$/)
    t.ok(status >= 400 && status < 600)
    t.match(title, /^[A-Z].*[^.]$/)
  }
  t.end()
})

await t.test('a refusal is problem details with a detail and a code', async (t) => {
  const { send } = await openApp(t)
  const response = await send({ method: 'GET', url: '/topics/a..b/events', headers: { accept: 'application/json' } })
  const problem = isProblem(t, response, 400, 'invalid-pattern')
  t.equal(problem.title, refusals['invalid-pattern'].title)
  t.strictSame(Object.keys(problem).sort(), ['code', 'detail', 'requestId', 'status', 'title', 'type'])
  const again = isProblem(t, await send({ method: 'GET', url: '/topics/a..b/events' }), 400, 'invalid-pattern')
  t.not(problem.requestId, again.requestId)
})

await t.test('unknown paths are refused with 404', async (t) => {
  const { send } = await openApp(t)
  for (const [method, url] of [
    ['GET', '/nothing'],
    ['POST', '/nothing'],
    ['GET', '/topics/a/events/'],
    ['GET', '/topics/a/b/events'],
    ['GET', '/index'],
  ] as const) {
    isProblem(t, await send({ method, url }), 404, 'not-found', `${method} ${url}`)
  }
  t.notMatch((await send({ method: 'GET', url: '/nothing?token=secret' })).body, /secret/)
})

await t.test('unsupported methods are refused with 405', async (t) => {
  const { send } = await openApp(t)
  for (const [method, url, allowed] of [
    ['PUT', '/topics/a/events', ['DELETE', 'GET', 'HEAD', 'POST']],
    ['PATCH', '/events?topic=a', ['GET', 'HEAD', 'POST']],
    ['POST', '/status', ['GET', 'HEAD']],
  ] as const) {
    const response = await send({ method, url })
    isProblem(t, response, 405, 'method-not-allowed', `${method} ${url}`)
    t.strictSame(String(response.headers['allow']).split(', ').sort(), allowed, 'RFC 9110, 15.5.6')
  }
})

await t.test('invalid URLs are refused', async (t) => {
  const { send } = await openApp(t)
  for (const url of ['/topics/%zz/events', '/topics/%/events', '/topics/%c3%28/events']) {
    isProblem(t, await send({ method: 'GET', url }), 400, 'invalid-request', url)
    t.notMatch(
      (await send({ method: 'GET', url: `${url}?token=secret` })).body,
      /secret/,
      'the refusal does not repeat the query string',
    )
  }
})

await t.test('a URL that is too long', async (t) => {
  const { send } = await openApp(t)
  const response = await send({ method: 'GET', url: `/topics/${'x'.repeat(700)}/events?token=secret` })
  isProblem(t, response, 414, 'uri-too-long', 'the URL')
  t.notMatch(response.body, /secret/, 'the refusal does not repeat the query string')
})

await t.test('requests that are not HTTP are refused', async (t) => {
  const { app } = await openApp(t)
  const port = Number(new URL(await listen(app)).port)
  for (const [text, status, code] of [
    ['nonsense\r\n\r\n', 400, 'invalid-request'],
    ['GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', 400, 'invalid-request'],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`, 431, 'headers-too-large'],
  ] as const) {
    const socket = net.connect(port, '127.0.0.1')
    t.teardown(() => void socket.destroy())
    socket.on('error', () => undefined)
    socket.write(text)
    let answer = ''
    socket.on('data', (chunk: Buffer) => void (answer += chunk.toString()))
    await new Promise((resolve) => socket.once('close', resolve))
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
    t.match(answer.toLowerCase(), /\r\ncontent-type: application\/problem\+json/, `${status} ${code}`)
    t.match(answer, code)
  }
})

await t.test('the message of an unexpected error is only logged', async (t) => {
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { level: 'info' },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        const line = JSON.parse(chunk.toString()) as Record<string, unknown>
        if (line['nativeSockets'] === undefined) lines.push(line) // at its start the hub logs how it uses sockets
        done()
      },
    }),
  )
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET }, logger)
  t.teardown(() => app.close())
  await app.ready()
  t.intercept(hubOf(app), 'stats', {
    value: () => {
      throw Object.assign(new Error('the password is hunter2'), { statusCode: 500 })
    },
  })
  const response = await app.inject({ url: '/status', headers: { 'x-request-id': 'x' } })
  const problem = isProblem(t, response, 500, 'internal-error')
  t.notMatch(response.body, /hunter2/)
  t.notMatch(response.body, /src\//, 'no stack trace')
  t.match(
    lines,
    [{ level: 50, reqId: problem.requestId, code: 'internal-error', err: { message: /hunter2/, stack: /status/ } }],
    'the log has the error and the id of the request',
  )
})

await t.test('an error of the application that will pass is temporary, also for a stream', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, {
    log: 'memory',
    jwtSecret: SECRET,
    authenticate: (request) => {
      throw Object.assign(new Error('the session store is down'), { statusCode: Number(request.headers['x-status']) })
    },
  })
  for (const [status, answered, code] of [
    [502, 503, 'unavailable'],
    [503, 503, 'unavailable'],
    [504, 503, 'unavailable'],
    [501, 500, 'internal-error'],
    [418, 400, 'invalid-request'],
  ] as const) {
    const headers = { 'x-status': String(status) }
    const refusal = await app.inject({ url: '/topics/a/events', headers: { ...headers, accept: 'application/json' } })
    isProblem(t, refusal, answered, code)
    t.equal('retry-after' in refusal.headers, answered === 503)
    const stream = await app.inject({ url: '/topics/a/events', headers: { ...headers, accept: 'text/event-stream' } })
    t.equal(stream.statusCode, answered === 503 ? 200 : answered)
    if (answered === 503) t.match(stream.body, /event: fanfare\.close\ndata: {"reason":"busy"/)
  }
})

await t.test('a thrown value that is not an Error is handled as one', async (t) => {
  const { app, send } = await openApp(t)
  for (const thrown of ['text', 7, { message: 'hunter2' }]) {
    const stats = t.intercept(hubOf(app), 'stats', {
      value: () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- some library will
        throw thrown
      },
    })
    const response = await send({ method: 'GET', url: '/status' })
    t.equal(response.statusCode, 500, typeof thrown)
    t.match(response.headers['content-type'], 'application/problem+json')
    t.notMatch(response.body, /hunter2/)
    stats.restore()
  }
})

await t.test('refusals are logged in one line', async (t) => {
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { level: 'info' },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        const line = JSON.parse(chunk.toString()) as Record<string, unknown>
        if (line['nativeSockets'] === undefined) lines.push(line) // at its start the hub logs how it uses sockets
        done()
      },
    }),
  )
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET }, logger)
  t.teardown(() => app.close())
  await app.inject({ url: '/topics/a..b/events?replay=1', headers: { authorization: `Bearer ${anyTopic()}` } })
  t.match(lines, [{ level: 30, code: 'invalid-pattern', status: 400, method: 'GET', path: '/topics/a..b/events' }])
  t.equal(lines.length, 1)
})

await t.test('a final refusal keeps its status, even for a stream', async (t) => {
  const { send } = await openApp(t)
  for (const [url, headers, status, code] of [
    ['/topics/a/events', { authorization: null }, 401, 'missing-token'],
    ['/topics/a..b/events', {}, 400, 'invalid-pattern'],
    ['/topics/fanfare.x/events', {}, 403, 'not-granted'],
    ['/nothing', {}, 404, 'not-found'],
  ] as const) {
    isProblem(t, await send({ method: 'GET', url, headers: { accept: 'text/event-stream', ...headers } }), status, code)
  }
})

await t.test('a temporary refusal has Retry-After', async (t) => {
  const { app, send } = await openApp(t)
  await hubOf(app).drain(0)
  const response = await send({ method: 'GET', url: '/health/ready', headers: { accept: 'text/event-stream' } })
  isProblem(t, response, 503, 'draining', 'a route without streams does not answer with a stream')
  t.match(response.headers['retry-after'], /^[1-9]\d*$/)
})

await t.test('bodies', async (t) => {
  const { send } = await openApp(t, { maxEventSize: 1_000 })
  const post = (payload: string, type: string) =>
    send({ method: 'POST', url: '/topics/a/events', payload, headers: { 'content-type': type } })
  isProblem(t, await post('<a/>', 'application/xml'), 415, 'unsupported-media-type')
  isProblem(t, await post('x'.repeat(1_001), 'text/plain'), 413, 'event-too-large')
  isProblem(t, await post('x'.repeat(20_000), 'text/plain'), 413, 'body-too-large')
  isProblem(t, await post('{"data":', 'application/json'), 400, 'invalid-json')
  const { errors } = isProblem(t, await post('{"data":1,"type":7,"id":8}', 'application/json'), 400, 'invalid-request')
  t.strictSame(errors?.map(({ path }) => path).sort(), ['/id', '/type'], 'all faults are named')
})

await t.test('the type of a problem is a link', async (t) => {
  const { send } = await openApp(t)
  const { type, title } = isProblem(
    t,
    await send({ method: 'GET', url: '/topics/a..b/events' }),
    400,
    'invalid-pattern',
  )
  const response = await send({ method: 'GET', url: type, headers: { authorization: null } })
  t.strictSame(response.json(), { code: 'invalid-pattern', status: 400, title })
  t.equal(
    (await send({ method: 'GET', url: '/errors' })).json<{ errors: unknown[] }>().errors.length,
    Object.keys(refusals).length,
  )
  for (const code of ['unheard-of', 'constructor', '__proto__'])
    isProblem(t, await send({ method: 'GET', url: `/errors/${code}` }), 404, 'not-found', code)
})
