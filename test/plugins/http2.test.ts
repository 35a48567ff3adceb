/** Requests and streams over HTTP/2 on the hub's own server with TLS, also those that attack it. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { hubOf, kHttp2Sessions } from '../../src/plugins/hub.js'
import { poll, within } from '../helper/deadline.js'
import { FLAG, FRAME, Http2Frames } from '../helper/http2-frames.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { selfSigned } from './certificate.js'

const authorization = `Bearer ${anyTopic()}`
const PUBLISH = { ':method': 'POST', ':path': '/topics/a/events', authorization }

async function start(t: Test, options: Partial<AppSettings> = {}): Promise<{ app: FastifyInstance; port: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-http2-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { cert, key } = selfSigned()
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  writeFileSync(files.certFile, cert)
  writeFileSync(files.keyFile, key)
  const app = await buildApp({
    log: 'memory',
    jwtSecret: SECRET,
    nativeSockets: NATIVE_SOCKETS,
    tls: files,
    retainBytes: 1e9,
    ...options,
  })
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port }
}

function connect(t: Test, port: number): http2.ClientHttp2Session {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  return session.on('error', () => undefined)
}

async function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders, body?: string) {
  const stream = session.request({ authorization, ...headers })
  let text = ''
  stream.setEncoding('utf8').on('data', (part: string) => (text += part))
  stream.on('error', () => undefined)
  stream.end(body)
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  await once(stream, 'close')
  return { status: head[':status'], head, text }
}

/** The events of the topic `a`. */
async function stored(app: FastifyInstance): Promise<unknown[]> {
  const answer = await app.inject({
    url: '/topics/a/events?last=9',
    headers: { authorization, accept: 'application/json' },
  })
  return answer.json<{ events: { data?: unknown; text?: string }[] }>().events.map(({ data, text }) => data ?? text)
}

await t.test('a request works without content-length, and its answer has no header of HTTP/1', async (t) => {
  const { port } = await start(t)
  const session = connect(t, port)
  const { status, head } = await ask(session, { ...PUBLISH, 'content-type': 'application/json' }, '{"data":1}')
  t.equal(status, 201)
  t.strictSame([head['connection'], head['transfer-encoding'], head['keep-alive']], [undefined, undefined, undefined])
  t.equal((await ask(session, PUBLISH, 'xx')).status, 415)
  const login = await ask(session, { ':method': 'POST', ':path': '/sessions' })
  t.match(login.head['set-cookie'], [/; Secure/])
  t.equal((await ask(session, { ':path': '/' })).status, 200)
})

await t.test('a body that is cut off is not stored', async (t) => {
  const { app, port } = await start(t)
  const ends = { reset: [0, 8], destroy: [undefined] }
  for (const code of [...ends.reset, ...ends.destroy]) {
    const client = await Http2Frames.connect(t, port)
    client.request(1, { ...PUBLISH, 'content-type': 'text/plain' }, false)
    client.write(FRAME.data, 0, 1, 'half a text')
    client.request(
      3,
      { ':method': 'POST', ':path': '/events', authorization, 'content-type': 'application/x-ndjson' },
      false,
    )
    client.write(FRAME.data, 0, 3, '{"topic":"a","data":1}\n{"topic":"a","data":"half"}')
    await poll(
      async () => ((await stored(app)).length > 0 ? true : undefined),
      () => 'the complete line is not stored',
    )
    for (const stream of [1, 3]) if (code !== undefined) client.reset(stream, code)
    if (code === undefined) client.socket.destroy()
    await poll(
      async () => (app[kHttp2Sessions]!.areRequestsAtWork() ? undefined : true),
      () => 'the requests are at work',
    )
    t.strictSame(await stored(app), [1], `code ${String(code)}`)
    await hubOf(app).purge('a')
  }
})

await t.test('a body that stops is refused, and its stream ends', async (t) => {
  const { app, port } = await start(t, { timeouts: { head: 1_000, body: 300 } })
  const client = await Http2Frames.connect(t, port)
  client.request(1, { ...PUBLISH, 'content-type': 'application/json' }, false)
  client.write(FRAME.data, 0, 1, '{"data"')
  client.request(3, { ':path': '/status' }, false)
  client.request(5, { ...PUBLISH, authorization: 'Bearer x' }, false)
  await poll(
    async () => (client.received.filter(({ type }) => type === FRAME.reset).length === 3 ? true : undefined),
    () => 'a stream is still open',
  )
  t.notOk(app[kHttp2Sessions]!.areRequestsAtWork())
  t.match(
    client.received
      .filter(({ type }) => type === FRAME.data)
      .map(({ payload }) => payload.toString())
      .join(),
    /408/,
  )
  client.write(FRAME.ping, 0, 0, '12345678')
  await poll(
    async () => client.received.find(({ type, flags }) => type === FRAME.ping && flags === FLAG.ack),
    () => 'the session has ended',
  )
})

await t.test('a connection without a handshake or a request ends', async (t) => {
  const { port } = await start(t, { timeouts: { head: 500, body: 500 } })
  const silent = net.connect(port, '127.0.0.1')
  const half = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  const plain = net.connect(port, '127.0.0.1').end('GET / HTTP/1.1\r\nHost: hub\r\n\r\n')
  half.write('GET /status HTTP')
  for (const socket of [silent, half, plain]) {
    socket.on('error', () => undefined).resume()
    t.teardown(() => socket.destroy())
  }
  await Promise.all([silent, half, plain].map((socket) => within(once(socket, 'close'), () => 'it is open', 10_000)))
})

await t.test('a client that resets its requests at once is refused, and others are served', async (t) => {
  const { app, port } = await start(t)
  const other = connect(t, port)
  const client = await Http2Frames.connect(t, port)
  const isRefused = () => client.received.some(({ type }) => type === FRAME.goaway)
  let sent = 0
  while (!isRefused() && sent < 30_000) {
    for (let n = 0; n < 100; n++, sent++) {
      client.request(2 * sent + 1, { ':path': '/topics/a/events', authorization }, true)
      client.reset(2 * sent + 1, 8)
    }
    await delay(1) // the server reads the requests
  }
  await poll(
    async () => (isRefused() ? true : undefined),
    () => 'no GOAWAY',
  )
  t.ok(sent < 30_000, `${sent} requests`)
  t.equal((await ask(other, { ':path': '/status' })).status, 200)
  await poll(
    async () => (hubOf(app).connections.size === 0 ? true : undefined),
    () => 'streams are left',
  )
})

await t.test('a session has 256 streams at most, and few answers that the client does not take', async (t) => {
  const { app, port } = await start(t, { slowTimeout: 500, maxConnectionsPerSubject: 1_000 })
  for (let n = 0; n < 40; n++) await hubOf(app).publish('big', { text: 'x'.repeat(100_000) })
  let made = 0
  const hub = hubOf(app)
  const read = hub.read.bind(hub)
  hub.read = (...args) => {
    made++
    return read(...args)
  }
  const client = await Http2Frames.connect(t, port)
  for (let n = 0; n < 100; n++)
    client.request(
      2 * n + 1,
      { ':path': '/topics/big/events?limit=1000', accept: 'application/json', authorization },
      true,
    )
  await poll(
    async () => (made > 0 ? true : undefined),
    () => 'no answer is built',
  )
  await delay(200) // further answers would be built by now
  t.ok(made <= 4, `${made} answers`)
  await poll(
    async () => (made > 8 ? true : undefined),
    () => 'unread answers are not given up',
  )
  const settings = client.received.find(({ type, flags }) => type === FRAME.settings && flags === 0)!
  const pairs = Array.from({ length: settings.payload.length / 6 }, (_, n) => [
    settings.payload.readUInt16BE(6 * n),
    settings.payload.readUInt32BE(6 * n + 2),
  ])
  t.strictSame(
    pairs.find(([id]) => id === 3),
    [3, 256],
  )
})

await t.test('a closing hub ends the connections of clients that do not close theirs', async (t) => {
  const { app, port } = await start(t)
  const idle = await Http2Frames.connect(t, port)
  const client = await Http2Frames.connect(t, port)
  client.request(1, { ':path': '/topics/a/events', authorization }, true)
  await poll(
    async () => (hubOf(app).connections.size === 1 ? true : undefined),
    () => 'no stream',
  )
  for (const { socket } of [idle, client]) socket.allowHalfOpen = true
  await hubOf(app).drain(0)
  const isTold = ({ received }: Http2Frames) => received.some(({ type }) => type === FRAME.goaway)
  await poll(
    async () => (isTold(client) ? true : undefined),
    () => 'no GOAWAY at the end of the stream',
  )
  t.match(client.received.map(({ payload }) => payload.toString()).join(), /fanfare\.close/)
  await within(app.close(), () => 'the server does not close', 5_000)
  t.ok(isTold(idle))
})
