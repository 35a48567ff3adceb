/** TCP connections to a server with TLS whose handshake is not finished. */
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { buildApp } from '../../src/app.js'
import { within } from '../helper/deadline.js'
import { SECRET } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'

const OPTIONS = { jwtSecret: SECRET, log: 'memory' } as const
/** The head of a TLS record that announces 512 bytes of a handshake message (RFC 8446, 5.1), and the first of them. */
const PART_OF_CLIENT_HELLO = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])

async function own(t: Test, head = 60_000): Promise<FastifyInstance> {
  const { cert, key } = selfSigned()
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key })
  const files = { certFile: `${folder}/cert.pem`, keyFile: `${folder}/key.pem` }
  return buildApp({ ...OPTIONS, tls: files, timeouts: { head, body: 60_000 } })
}

async function embedded(options: object): Promise<FastifyInstance> {
  const app = Fastify({ ...options, https: { ...selfSigned(), ...('http2' in options && { allowHTTP1: true }) } })
  await app.register(fanfare, OPTIONS)
  return app
}

/** The kinds of servers with TLS. */
const SERVERS: Record<string, (t: Test) => Promise<FastifyInstance>> = {
  'the own server of a hub': own,
  'an application with HTTP/1.1': () => embedded({}),
  'an application with HTTP/2': () => embedded({ http2: true }),
}

async function listen(t: Test, app: FastifyInstance): Promise<number> {
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

/** Opens a TCP connection. Resolves when the server has accepted it. */
async function open(
  t: Test,
  app: FastifyInstance,
  port: number,
): Promise<{ socket: Socket; closed: Promise<unknown> }> {
  const accepted = once(app.server, 'connection')
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  t.teardown(() => socket.destroy())
  const closed = new Promise((resolve) => socket.resume().once('close', resolve))
  await accepted
  return { socket, closed }
}

for (const [name, start] of Object.entries(SERVERS))
  void t.test(`${name} closes connections without a finished handshake at once`, async (t) => {
    const app = await start(t)
    let answer: () => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      app.get('/slow', async () => {
        resolve()
        await new Promise<void>((done) => (answer = done))
        return 'answered'
      })
    })
    const port = await listen(t, app)
    const silent = await open(t, app, port)
    const half = await open(t, app, port)
    half.socket.write(PART_OF_CLIENT_HELLO)
    const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    t.teardown(() => client.destroy())
    let text = ''
    client.on('data', (bytes) => (text += String(bytes)))
    client.write('GET /slow HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n')
    await asked

    const closed = app.close()
    await within(Promise.all([silent.closed, half.closed]), () => 'a connection is open', 2_000)
    t.equal(text, '', 'a request in flight is still at work')
    const ended = once(client, 'close')
    answer()
    await within(ended, () => 'the request is not answered')
    t.match(text, /answered/)
    await within(closed, () => 'the server does not close', 2_000)
  })

await t.test('a handshake that makes little progress ends at the time limit', async (t) => {
  const head = 1_000
  const app = await own(t, head)
  const port = await listen(t, app)
  const start = performance.now()
  const { socket, closed } = await open(t, app, port)
  let sent = 0
  const dripping = setInterval(() => socket.write(PART_OF_CLIENT_HELLO.subarray(sent, ++sent)), 100)
  t.teardown(() => clearInterval(dripping))
  await within(closed, () => 'the connection is open', 10_000)
  const time = performance.now() - start
  t.ok(time >= head - 50 && time < 3 * head, `${time.toFixed()} ms`)
})
