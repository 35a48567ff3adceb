import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { kRequestsAnswered } from '../../src/plugins/hub.js'
import { within } from '../helper/deadline.js'
import { anyTopic, SECRET } from '../helper/token.js'

const WAYS = ['auto', 'off'] as const
type Way = (typeof WAYS)[number]

async function listen(t: Test, nativeSockets: Way): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(fanfare, { prefix: '/realtime', jwtSecret: SECRET, log: 'memory', nativeSockets })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return app
}

function open(t: Test, app: FastifyInstance, text: string): Socket {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  t.teardown(() => socket.destroy())
  socket.write(text)
  return socket
}

for (const way of WAYS)
  void t.test(`${way}: a closing application does not wait for connections without a request`, async (t) => {
    const app = await listen(t, way)
    const accepted = [once(app.server, 'connection')]
    const sockets = [open(t, app, ''), open(t, app, 'GET / HTTP/1.1\r\nHo')]
    const ends = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    await Promise.all([...accepted, ...sockets.map((socket) => once(socket, 'connect'))])
    await within(app.close(), () => 'the application does not close', 5_000)
    await Promise.all(ends)
    t.pass('both connections have ended')
  })

for (const way of WAYS)
  void t.test(`${way}: a closing application does not wait for the rest of a second head`, async (t) => {
    const app = await listen(t, way)
    const socket = open(t, app, 'GET / HTTP/1.1\r\nHost: app\r\n\r\n')
    await once(socket, 'data')
    const more = once(app.server, 'connection')
    socket.write('GET / HTTP/1.1\r\nHo')
    open(t, app, 'GET / HTTP/1.1\r\nHost: app\r\n\r\n') // its connection shows that half of the other head has arrived too
    await more
    await within(app.close(), () => 'the application does not close', 5_000)
    t.pass()
  })

for (const way of WAYS)
  void t.test(`${way}: an upgraded connection is left to the application`, async (t) => {
    const app = await listen(t, way)
    app.server.on('upgrade', (_request, socket: Socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
      setTimeout(() => socket.end('farewell'), 1_000) // longer than the limit for a head
    })
    const socket = open(t, app, 'GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    let text = ''
    socket.on('data', (bytes) => (text += String(bytes)))
    await once(socket, 'data')
    await app.close()
    t.match(text, /farewell$/)
  })

for (const way of WAYS)
  void t.test(
    `${way}: a request counts as in flight until it is answered, and an event stream does not count`,
    async (t) => {
      const app = await listen(t, way)
      const requests = () => app[kRequestsAnswered](60_000).then(() => true)
      const stream = open(
        t,
        app,
        `GET /realtime/topics/a/events HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${anyTopic()}\r\nAccept: text/event-stream\r\n\r\n`,
      )
      await once(stream, 'data')
      await new Promise((resolve) => setImmediate(resolve))
      t.equal(await within(requests(), () => 'the stream counts as a request in flight', 5_000), true)
      const body = '{"data":1}'
      const post = open(
        t,
        app,
        `POST /realtime/topics/a/events HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${anyTopic()}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
      )
      await once(post, 'data')
      const answered = requests()
      // the request stays in flight as long as its body is missing
      t.equal(await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 150, 'at work'))]), 'at work')
      post.write(body)
      t.equal(await within(answered, () => 'the answered request counts as in flight', 5_000), true)
    },
  )
