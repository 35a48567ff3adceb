/** Answers that their client does not read, on real sockets. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { connect as connectNet, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { hubOf } from '../../src/plugins/hub.js'
import { poll, within } from '../helper/deadline.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { selfSigned } from './certificate.js'

const SLOW = 400
const EVENT = 200_000
/** More bytes than a page of history may have. */
const EVENTS = 40
const HEADERS = `Host: hub\r\nAccept: application/json\r\nAuthorization: Bearer ${anyTopic()}\r\n`
const PAGE = `GET /topics/big/events?limit=1000 HTTP/1.1\r\n${HEADERS}\r\n`

async function listen(t: Test, app: FastifyInstance, slowTimeout = SLOW): Promise<number> {
  await app.register(fanfare, {
    nativeSockets: NATIVE_SOCKETS,
    jwtSecret: SECRET,
    log: 'memory',
    slowTimeout,
    console: false,
    retainBytes: 1e9,
  })
  app.get('/own', async () => 'x'.repeat(20_000_000))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  for (let n = 0; n < EVENTS; n++) await hubOf(app).publish('big', { text: `${n}`.padEnd(EVENT, '.') })
  return (app.server.address() as AddressInfo).port
}

function open(t: Test, port: number, isTls: boolean): Socket {
  const socket = isTls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connectNet(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return socket
}

/** Returns the number of sockets of the server. */
function countSockets(app: FastifyInstance): Promise<number> {
  return new Promise((resolve, reject) =>
    app.server.getConnections((err, count) => (err ? reject(err) : resolve(count))),
  )
}

for (const isTls of [false, true]) {
  const create = () => (isTls ? (Fastify({ https: selfSigned() }) as unknown as FastifyInstance) : Fastify())

  await t.test(
    `${isTls ? 'https' : 'http'}: an answer that the client does not read is aborted, with its connection`,
    async (t) => {
      const app = create()
      const port = await listen(t, app)
      const socket = open(t, port, isTls)
      await once(socket, isTls ? 'secureConnect' : 'connect')
      socket.pause()
      for (let n = 0; n < 20; n++) socket.write(PAGE) // the sockets of both ends buffer a part of it
      await poll(
        async () => ((await countSockets(app)) === 1 ? true : undefined),
        () => 'the answer has not arrived',
      )
      // bytes from the client do not help
      const chatter = setInterval(() => socket.write('\r\n'), 50)
      t.teardown(() => clearInterval(chatter))
      await poll(
        async () => ((await countSockets(app)) === 0 ? true : undefined),
        () => 'the connection is still open',
      )
    },
  )

  await t.test(`${isTls ? 'https' : 'http'}: an answer that the client reads slowly is sent completely`, async (t) => {
    const app = create()
    const port = await listen(t, app, 5_000) // the kernel accepts more only when a large part of its buffer is free
    const socket = open(t, port, isTls)
    await once(socket, isTls ? 'secureConnect' : 'connect')
    let length = 0
    let pausedAt = 0
    socket.on('data', (bytes: Buffer) => {
      length += bytes.length
      if (length < pausedAt + 64 * 1024) return // TLS returns 16 KiB at once, which would be too slow for the limit
      pausedAt = length
      socket.pause()
      setTimeout(() => socket.resume(), 50)
    })
    const began = performance.now()
    const closed = once(socket, 'close')
    socket.write(PAGE.repeat(5) + PAGE.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    await within(closed, () => `${length} bytes have arrived`, 120_000)
    t.ok(length > 6 * 1024 * 1024, `${length} bytes in ${Math.round(performance.now() - began)} ms`)
  })
}

await t.test('answers of the application are not aborted', async (t) => {
  const app = Fastify()
  const port = await listen(t, app)
  const socket = open(t, port, false)
  await once(socket, 'connect')
  socket.pause()
  socket.write('GET /own HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n')
  const other = open(t, port, false)
  await once(other, 'connect')
  other.pause()
  for (let n = 0; n < 20; n++) other.write(PAGE)
  await poll(
    async () => ((await countSockets(app)) === 1 ? true : undefined),
    () => "the hub's answer has not been aborted",
  )
  let length = 0
  socket.on('data', (bytes: Buffer) => (length += bytes.length))
  const closed = once(socket, 'close')
  socket.resume()
  await within(closed, () => `${length} bytes have arrived`)
  t.ok(length > 20_000_000)
})

await t.test('http2: an unread answer is closed, and other streams of its connection stay open', async (t) => {
  const app = Fastify({ http2: true }) as unknown as FastifyInstance
  const port = await listen(t, app)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  t.teardown(() => session.destroy())
  const headers = { accept: 'application/json', authorization: `Bearer ${anyTopic()}` }
  const given = once(app.server, 'stream') as Promise<[http2.ServerHttp2Stream]>
  const unread = session.request({ ...headers, ':path': '/topics/big/events?limit=1000' })
  unread.on('error', () => undefined)
  const [answer] = await given
  const closed = once(answer, 'close')
  const status = async () => {
    const stream = session.request({ ...headers, ':path': '/status' })
    const [response] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    stream.resume()
    return Number(response[':status'])
  }
  await within(closed, () => 'the stream is still open', 60_000)
  t.equal(await status(), 200)
})

await t.test(
  'the answer to a pipelined request is built only after the client has taken the previous answer',
  async (t) => {
    const app = Fastify()
    const port = await listen(t, app, 30_000)
    let made = 0
    const hub = hubOf(app)
    const read = hub.read.bind(hub)
    hub.read = (...args) => {
      made++
      return read(...args)
    }
    const socket = open(t, port, false).pause()
    socket.write(PAGE.repeat(100))
    await poll(
      async () => (made > 0 ? true : undefined),
      () => 'no answer is built',
    )
    // the sockets of both ends buffer some pages before the first answer waits
    let before = -1
    await poll(
      async () => {
        const isQuiet = made === before
        before = made
        return isQuiet ? true : undefined
      },
      () => 'the hub keeps building answers',
    )
    t.ok(made < 50, `${made} of 100 pages`)
    let bytes = 0
    socket.on('data', (part: Buffer) => (bytes += part.length)).resume()
    await poll(
      async () => (made === 100 ? true : undefined),
      () => `only ${made} answers are built for a client that reads`,
    )
    await poll(
      async () => (bytes > 100 * 5 * EVENT ? true : undefined),
      () => `only ${bytes} bytes come`,
    )
  },
)
