/** Clients that open streams and disconnect, each in another way and at another moment. */
import { once } from 'node:events'
import http2 from 'node:http2'
import net, { type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import fanfare from '../../src/index.js'
import { hubOf } from '../../src/plugins/hub.js'
import { selfSigned } from '../plugins/certificate.js'
import { poll } from './deadline.js'
import { NATIVE_SOCKETS } from './native-sockets.js'
import type { Random } from './random.js'
import { anyTopic, SECRET } from './token.js'

const TOKEN = anyTopic()
const HEAD = `host: hub\r\nauthorization: Bearer ${TOKEN}\r\n`
/** How long a client waits for the hub to end its connection, in milliseconds: longer than the hub may take. */
const LONGEST = 20_000
/** The number of concurrent clients. */
const AT_ONCE = 40
const SLOW_TIMEOUT = 500

interface Server {
  app: FastifyInstance
  port: number
  /** The number of listeners of each event of the server before the first client. */
  listeners: Record<string, number>
}

type Connect = (port: number) => Socket

const { key, cert } = selfSigned()
const plain: Connect = (port) => net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
const secure: Connect = (port) =>
  tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })

function listenersOf({ server }: FastifyInstance): Record<string, number> {
  return Object.fromEntries(server.eventNames().map((name) => [String(name), server.listenerCount(name)]))
}

async function listen(t: Test, app: FastifyInstance): Promise<Server> {
  t.teardown(() => app.close())
  await app.register(fanfare, {
    log: 'memory',
    jwtSecret: SECRET,
    slowTimeout: SLOW_TIMEOUT,
    presenceGrace: 0,
    maxConnections: 1e6,
    nativeSockets: NATIVE_SOCKETS,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port, listeners: listenersOf(app) }
}

/** Requests on one connection. The last or the first of them is for a stream. */
function requestsOf(numbers: Random): string {
  const topic = numbers.pick(['a', 'b', '*'])
  const stream = `GET /topics/${topic}/events${numbers.pick(['', '?replay=5', '?replay=all', '?slow=latest'])} HTTP/1.1\r\n${HEAD}\r\n`
  const status = `GET /status HTTP/1.1\r\n${HEAD}\r\n`
  const body = '{"data":1}'
  const publish = `POST /topics/a/events HTTP/1.1\r\n${HEAD}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  return numbers.pick([
    stream,
    stream,
    stream,
    stream,
    stream,
    stream.replace('GET', 'HEAD'),
    stream.replace('HTTP/1.1', 'HTTP/1.0'),
    stream + stream,
    stream + status + stream,
    status + stream,
    publish + stream + publish,
    stream.repeat(10),
    stream.slice(0, -2) + 'content-length: 100000\r\n\r\nbegun',
    stream.slice(0, -10),
  ])
}

/** Runs one HTTP/1.1 client. Resolves when its socket is closed. */
async function runHttp1Client(connect: Connect, port: number, numbers: Random): Promise<void> {
  const socket = connect(port)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => undefined).on('end', () => socket.end())
  const moment = numbers.below(6)
  const read = numbers.below(4_000)
  const time = numbers.below(4)
  const way = numbers.below(4)
  const go = () => {
    if (way === 0) socket.end()
    else if (way === 1) socket.destroy()
    else if (way === 2 && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy()
    else {
      // half closed or open: sends bytes now and then, and reads nothing more
      if (numbers.below(2) === 0) socket.end()
      socket.pause()
      const timer = setInterval(() => socket.writable && socket.write('x'), 50)
      socket.once('close', () => clearInterval(timer))
      setTimeout(() => socket.resume(), SLOW_TIMEOUT).unref()
      if (way === 3) setTimeout(() => socket.destroy(), SLOW_TIMEOUT * 2).unref()
    }
  }
  let length = 0
  let hasGone = false
  const goOnce = () => {
    if (!hasGone && !socket.destroyed) go()
    hasGone = true
  }
  socket.write(requestsOf(numbers), () => {
    if (moment === 0) goOnce()
    if (moment === 1) setImmediate(goOnce)
    if (moment === 2) setTimeout(goOnce, time)
  })
  socket.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (moment === 3 || (moment > 3 && length > read)) goOnce()
  })
  const late = setTimeout(goOnce, 400)
  const never = setTimeout(() => socket.destroy(), LONGEST)
  await closed
  clearTimeout(late)
  clearTimeout(never)
}

/** Opens some streams on one session. Resolves when the session is closed. */
async function runHttp2Client(port: number, numbers: Random): Promise<void> {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => undefined)
  const closed = once(session, 'close').catch(() => undefined)
  const streams = Array.from({ length: 1 + numbers.below(4) }, () => {
    const stream = session.request(
      { ':path': `/topics/a/events${numbers.pick(['', '?replay=5'])}`, authorization: `Bearer ${TOKEN}` },
      { endStream: numbers.below(3) > 0 },
    )
    return stream.on('error', () => undefined)
  })
  // a client leaves at any moment: with its request, during the answer, and while it receives events
  const wait = numbers.pick([
    async () => undefined,
    turn,
    () => delay(numbers.below(5)),
    () => once(streams[0]!, 'response').catch(() => undefined),
    () => delay(100),
  ])
  await Promise.race([wait(), closed])
  for (const stream of streams) {
    if (numbers.below(3) === 0) stream.resume()
    if (numbers.below(3) === 0) await turn()
    const way = numbers.below(4)
    if (way < 2) stream.close(http2.constants.NGHTTP2_CANCEL)
    else if (way === 2) stream.destroy()
  }
  if (numbers.below(2) === 0) session.close()
  const timer = setTimeout(() => session.destroy(), numbers.below(200))
  await closed
  clearTimeout(timer)
}

/**
 * Runs clients that connect and disconnect while events are published, and waits until their state is released: no
 * stream, no connection, no presence and no listener.
 * @returns the number of opened streams
 */
export async function disconnectMany(t: Test, count: number, numbers: Random): Promise<number> {
  const servers = {
    plain: await listen(t, Fastify()),
    tls: await listen(t, Fastify({ https: { key, cert } })),
    http2: await listen(
      t,
      Fastify({ http2: true, https: { key, cert, allowHTTP1: true } }) as unknown as FastifyInstance,
    ),
  }
  const all = Object.values(servers)
  const opened = new Set<string>()
  let left = count
  let isOver = false

  async function publish(): Promise<void> {
    for (let n = 0; !isOver; n++) {
      for (const { app } of all) {
        await hubOf(app).publish(n % 2 === 0 ? 'a' : 'b', { text: 'x'.repeat(n % 20 === 0 ? 200_000 : 200) })
        for (const { info } of hubOf(app).connections.values()) opened.add(info.id)
      }
      await delay(1) // a steady rate, so that clients leave while events are sent
    }
  }
  async function runClients(): Promise<void> {
    while (left-- > 0) {
      const kind = numbers.below(10)
      if (kind < 5) await runHttp1Client(plain, servers.plain.port, numbers)
      else if (kind < 7) await runHttp1Client(secure, servers.tls.port, numbers)
      else if (kind < 8) await runHttp1Client(secure, servers.http2.port, numbers)
      else await runHttp2Client(servers.http2.port, numbers)
    }
  }
  const publishing = publish()
  await Promise.all(Array.from({ length: AT_ONCE }, runClients))
  isOver = true
  await publishing

  for (const [name, { app, listeners }] of Object.entries(servers)) {
    const { hub, server } = app
    await poll(
      async () => (hub.connections.size === 0 ? true : undefined),
      () => `${name}: ${hub.connections.size} streams are left`,
    )
    let sockets = -1
    const countSockets = () =>
      new Promise<void>((resolve) => server.getConnections((_err, number) => resolve(void (sockets = number))))
    await poll(
      async () => (await countSockets(), sockets === 0 ? true : undefined),
      () => `${name}: ${sockets} sockets are left`,
    )
    t.strictSame(listenersOf(app), listeners, `${name}: the server's listeners`)
    t.strictSame(
      (await Promise.all(['a', 'b'].map((topic) => hub.present(topic)))).flat(),
      [],
      `${name}: no subject is present`,
    )
    t.equal((await hub.publish('a', { data: 1 })).subscribers, 0)
  }
  return opened.size
}
