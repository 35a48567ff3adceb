import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { hubOf } from '../../src/plugins/hub.js'
import type { Settings } from '../../src/settings.js'
import { decodeChunks } from '../helper/chunks.js'
import { poll, within } from '../helper/deadline.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { parseStream } from '../hub/reference-parser.js'
import { until } from '../routes/open-app.js'
import { selfSigned } from './certificate.js'

const URL = '/topics/a/events'
const { key, cert } = selfSigned()
const authorization = `Bearer ${anyTopic()}`

/**
 * A stream as its client sees it, on any transport. It keeps only the beginning of each event's data, since some events
 * are large.
 */
interface Subscriber {
  headers: Record<string, unknown>
  /** The data of published events. */
  events: string[]
  /** The data of the hub's own events, by kind: `open`, `close` and so on. */
  told: Record<string, string[]>
  /** The number of received characters. */
  length: number
  isClosed: boolean
  pause: () => void
  resume: () => void
  destroy: () => void
}

/** A server, and how to open a stream on it. */
interface Transport {
  app: FastifyInstance
  open: (url?: string, method?: string) => Promise<Subscriber>
}

type Start = (t: Test, settings?: Partial<Settings>, prepare?: (app: FastifyInstance) => void) => Promise<Transport>

/** The suffix of a transport whose streams use Node's public API. */
const PUBLIC = ", by Node's public API"
/** Every test runs with the fast paths and with Node's public API. */
const WAYS = ['auto', 'off'] as const
const SETTINGS: Partial<Settings> = { log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS }

function read(stream: http.IncomingMessage | http2.ClientHttp2Stream, headers: Record<string, unknown>): Subscriber {
  const subscriber: Subscriber = {
    headers,
    events: [],
    told: {},
    length: 0,
    isClosed: false,
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    destroy: () => void stream.destroy(),
  }
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    subscriber.length += chunk.length
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const { event } of blocks.flatMap((block) => parseStream(Buffer.from(`${block}\n\n`)))) {
      const [, own] = /^fanfare\.(.+)$/.exec(event?.type ?? '') ?? []
      if (own !== undefined) (subscriber.told[own] ??= []).push(event!.data)
      else if (event) subscriber.events.push(event.data.slice(0, 40))
    }
  })
  stream.on('error', () => undefined)
  stream.on('close', () => (subscriber.isClosed = true))
  return subscriber
}

/** Opens streams by HTTP/1.1. */
function byHttp1(app: FastifyInstance, get: typeof https.request) {
  return async (url = URL, method = 'GET'): Promise<Subscriber> => {
    const request = get(`${app.listeningOrigin}${url}`, {
      method,
      agent: false,
      headers: { authorization, accept: 'text/event-stream' },
      rejectUnauthorized: false,
    })
    request.on('error', () => undefined).end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    return read(response, { ':status': response.statusCode, ...response.headers })
  }
}

/** Opens streams over HTTP/2 on one session, which closes when it has no stream left. */
function byHttp2(t: Test, app: FastifyInstance) {
  let session: http2.ClientHttp2Session | undefined
  let streams = 0
  t.teardown(() => session?.destroy())
  return async (url = URL, method = 'GET'): Promise<Subscriber> => {
    if (!session || session.closed)
      session = http2.connect(app.listeningOrigin, { rejectUnauthorized: false }).on('error', () => undefined)
    const stream = session.request({ ':path': url, ':method': method, authorization, accept: 'text/event-stream' })
    streams++
    stream.on('close', () => {
      if (--streams === 0) session?.close()
    })
    stream.on('error', () => undefined).end()
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    return read(stream, headers)
  }
}

async function start(
  t: Test,
  app: FastifyInstance,
  settings: Partial<Settings>,
  prepare: (app: FastifyInstance) => void,
): Promise<void> {
  prepare(app)
  t.teardown(() => app.close())
  await app.register(fanfare, { ...SETTINGS, ...settings })
  await app.listen({ host: '127.0.0.1', port: 0 })
}

const nothing = () => undefined

const servers: Record<string, Start> = {
  'HTTP/1.1': async (t, settings = {}, prepare = nothing) => {
    const app = Fastify()
    await start(t, app, settings, prepare)
    return { app, open: byHttp1(app, http.request) }
  },
  'HTTP/1.1 with TLS': async (t, settings = {}, prepare = nothing) => {
    const app = Fastify({ https: { key, cert } })
    await start(t, app, settings, prepare)
    return { app, open: byHttp1(app, https.request) }
  },
  'HTTP/2': async (t, settings = {}, prepare = nothing) => {
    const app = Fastify({ http2: true, https: { key, cert } }) as unknown as FastifyInstance
    await start(t, app, settings, prepare)
    return { app, open: byHttp2(t, app) }
  },
  'HTTP/2 without TLS': async (t, settings = {}, prepare = nothing) => {
    const app = Fastify({ http2: true }) as unknown as FastifyInstance
    await start(t, app, settings, prepare)
    return { app, open: byHttp2(t, app) }
  },
  'HTTP/1.1 on a server of HTTP/2': async (t, settings = {}, prepare = nothing) => {
    const app = Fastify({ http2: true, https: { allowHTTP1: true, key, cert } }) as unknown as FastifyInstance
    await start(t, app, settings, prepare)
    return { app, open: byHttp1(app, https.request) }
  },
}

/** Each server with the fast paths and, if that differs, with Node's public API. */
const transports: Record<string, Start> = Object.fromEntries(
  Object.entries(servers).flatMap(([name, start]) =>
    (name.startsWith('HTTP/2') ? WAYS.slice(0, 1) : WAYS).map((nativeSockets): [string, Start] => [
      nativeSockets === 'auto' ? name : `${name}${PUBLIC}`,
      (t, settings, prepare) => start(t, { nativeSockets, ...settings }, prepare),
    ]),
  ),
)

/** The hub's own events of one kind, parsed. */
function told(subscriber: Subscriber, name: string): unknown[] {
  return (subscriber.told[name] ?? []).map((data) => JSON.parse(data) as unknown)
}

for (const [name, start] of Object.entries(transports)) {
  const isHttp2 = name.startsWith('HTTP/2')

  await t.test(name, async (t) => {
    await t.test('the head and the first block are sent at once, then each published event', async (t) => {
      const { app, open } = await start(t)
      const subscriber = await open()
      t.match(subscriber.headers, {
        ':status': 200,
        'content-type': /^text\/event-stream; charset=utf-8$/,
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
        'fanfare-connection': /./,
        'last-event-id': /./,
      })
      await until(() => told(subscriber, 'open').length === 1)
      t.equal(subscriber.headers['transfer-encoding'], isHttp2 ? undefined : 'chunked')
      t.equal(subscriber.headers['content-length'], undefined)
      t.equal(
        subscriber.headers['connection'],
        isHttp2 ? undefined : 'close',
        'RFC 9113, 8.2.2: HTTP/2 has no such header',
      )
      for (let n = 0; n < 20; n++) await hubOf(app).publish('a', { data: `zwölf €${n}` })
      await until(() => subscriber.events.length === 20)
      t.strictSame(
        subscriber.events,
        Array.from({ length: 20 }, (_, n) => JSON.stringify(`zwölf €${n}`)),
      )
      t.equal(hubOf(app).connections.size, 1)
      subscriber.destroy()
      await until(() => hubOf(app).connections.size === 0)
    })

    await t.test('a stream has the headers of other plugins', async (t) => {
      const { open } = await start(t, {}, (app) => {
        app.addHook('onRequest', async (_request, reply) => {
          void reply.headers({ 'x-request-source': 'test', vary: 'X-Other' }).header('set-cookie', ['a=1', 'b=2'])
        })
        app.addHook('onRequest', async (_request, reply) => void reply.raw.setHeader('x-raw', 'kept'))
      })
      const { headers } = await open()
      t.match(headers, {
        'x-request-source': 'test',
        'set-cookie': ['a=1', 'b=2'],
        'x-raw': 'kept',
        vary: /X-Other.*Accept/i,
        'content-type': 'text/event-stream',
      })
    })

    await t.test('HEAD returns the head and ends', async (t) => {
      const { app, open } = await start(t)
      const subscriber = await open(URL, 'HEAD')
      t.match(subscriber.headers, {
        ':status': 200,
        'content-type': 'text/event-stream; charset=utf-8',
        'last-event-id': `${hubOf(app).epoch}-0`,
      })
      t.equal(subscriber.headers['transfer-encoding'], isHttp2 ? undefined : 'chunked')
      await until(() => subscriber.isClosed)
      t.equal(subscriber.length, 0)
      t.equal(hubOf(app).connections.size, 0)
    })

    await t.test('a stream that ends at once has its closing block', async (t) => {
      const { app, open } = await start(t)
      await hubOf(app).drain(0)
      const subscriber = await open()
      t.match(subscriber.headers, { ':status': 200, 'content-type': 'text/event-stream' })
      await until(() => subscriber.isClosed)
      t.match(told(subscriber, 'close'), [{ reason: 'busy', retry: Number }])
    })

    await t.test('a stalled subscriber costs little memory, and loses no event when it continues', async (t) => {
      const sockets: Socket[] = []
      const { app, open } = await start(
        t,
        {},
        (app) =>
          void app.server.on(
            isHttp2 || name.includes('TLS') ? 'secureConnection' : 'connection',
            (socket: Socket) => void sockets.push(socket),
          ),
      )
      const slow = await open()
      await until(() => told(slow, 'open').length === 1)
      slow.pause()
      const text = 'x'.repeat(50_000)
      let waiting = 0
      for (let n = 0; n < 300; n++) {
        await hubOf(app).publish('a', { text: `${n} ${text}` })
        await turn()
        waiting = Math.max(waiting, ...sockets.map(({ writableLength }) => writableLength))
      }
      t.ok(waiting < 2_000_000, `${waiting} bytes wait in the process`)
      t.equal(hubOf(app).connections.size, 1)
      slow.resume()
      await until(() => slow.events.length === 300)
      t.strictSame(
        slow.events.map((data) => Number(data.split(' ', 1)[0])),
        Array.from({ length: 300 }, (_, n) => n),
      )
    })

    await t.test('a subscriber that stalls too long is disconnected', async (t) => {
      const { app, open } = await start(t, { slowTimeout: 300 })
      const slow = await open()
      await until(() => told(slow, 'open').length === 1)
      slow.pause()
      for (let n = 0; n < 200; n++) await hubOf(app).publish('a', { text: 'x'.repeat(100_000) })
      t.equal(hubOf(app).connections.size, 1)
      await until(() => hubOf(app).connections.size === 0)
      slow.resume()
      await until(() => slow.isClosed)
      t.strictSame(told(slow, 'close'), [{ reason: 'slow' }], 'a subscriber that reads then gets the reason')
    })

    await t.test('a closing server ends its streams with a closing block', async (t) => {
      const { app, open } = await start(t)
      const subscribers = [await open(), await open('/events?topic=a&topic=b')]
      await until(() => subscribers.every((subscriber) => told(subscriber, 'open').length === 1))
      for (let n = 0; n < 100; n++) await hubOf(app).publish('a', { text: 'x'.repeat(10_000) })
      await until(() => subscribers.every((subscriber) => subscriber.events.length === 100))
      const begun = performance.now()
      await app.close()
      t.ok(performance.now() - begun < 2_000, `${Math.round(performance.now() - begun)} ms`)
      await until(() => subscribers.every(({ isClosed }) => isClosed))
      for (const subscriber of subscribers) t.strictSame(told(subscriber, 'close'), [{ reason: 'drain' }])
    })
  })
}

await t.test('a slow subscriber that makes progress is not disconnected', async (t) => {
  await Promise.all(
    ['HTTP/1.1', `HTTP/1.1${PUBLIC}`, 'HTTP/2'].map(async (name) => {
      const { app, open } = await transports[name]!(t, { slowTimeout: 400 })
      const slow = await open()
      await until(() => told(slow, 'open').length === 1)
      for (let n = 0; n < 200; n++) await hubOf(app).publish('a', { text: 'x'.repeat(100_000) })
      // a reader that makes progress for several times the slow timeout
      const begun = performance.now()
      while (performance.now() - begun < 1_500 && hubOf(app).connections.size > 0) {
        slow.pause()
        await delay(50)
        slow.resume()
        await delay(3)
      }
      await until(() => slow.events.length === 200 || slow.isClosed)
      t.equal(slow.events.length, 200, name)
      t.strictSame(told(slow, 'close'), [], name)
    }),
  )
})

await t.test('a stalled stream does not prevent the server from closing', async (t) => {
  await Promise.all(
    ['HTTP/1.1', `HTTP/1.1${PUBLIC}`, 'HTTP/2'].map(async (name) => {
      const { app, open } = await transports[name]!(t)
      const slow = await open()
      await until(() => told(slow, 'open').length === 1)
      slow.pause()
      for (let n = 0; n < 100; n++) {
        await hubOf(app).publish('a', { text: 'x'.repeat(100_000) })
        await turn()
      }
      await t.resolves(
        within(app.close(), () => 'the server does not close', 10_000),
        name,
      )
      t.equal(hubOf(app).connections.size, 0)
    }),
  )
})

await t.test('an injected request gets its stream, and does not delay closing', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close().catch(() => undefined))
  await app.register(fanfare, { ...SETTINGS, jwtSecret: SECRET })
  const response = await app.inject({ url: URL, headers: { authorization }, payloadAsStream: true })
  t.equal(response.statusCode, 200)
  let text = ''
  const stream = response.stream().on('data', (chunk: Buffer) => void (text += chunk.toString()))
  stream.on('error', () => undefined)
  await hubOf(app).publish('a', { data: 1 })
  await until(() => text.includes('data: 1\n\n'))
  await t.resolves(app.close())
  await until(() => text.includes('fanfare.close'))
})

/** A stream on its own socket that is not read after the head. */
async function openUnread(t: Test, { server }: FastifyInstance, url = URL): Promise<Socket> {
  const { port } = server.address() as AddressInfo
  const isSecure = server instanceof https.Server
  const socket = isSecure
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.write(`GET ${url} HTTP/1.1\r\nhost: hub\r\nauthorization: ${authorization}\r\n\r\n`)
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.pause()
  socket.unshift(first.subarray(first.indexOf('\r\n\r\n') + 4))
  return socket
}

/** Sends a byte from time to time while the socket accepts bytes. */
function trickle(t: Test, socket: Socket): void {
  const timer = setInterval(() => socket.writable && socket.write('x'), 20)
  t.teardown(() => clearInterval(timer))
}

function socketsOf({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => server.getConnections((_err, count) => resolve(count)))
}

for (const name of ['HTTP/1.1', 'HTTP/1.1 with TLS'].flatMap((name) => [name, `${name}${PUBLIC}`])) {
  await t.test(`${name}: bytes that a subscriber sends do not count as progress`, async (t) => {
    const { app } = await transports[name]!(t, { slowTimeout: 300 })
    trickle(t, await openUnread(t, app))
    await until(() => hubOf(app).connections.size === 1)
    for (let n = 0; n < 200; n++) await hubOf(app).publish('a', { text: 'x'.repeat(100_000) })
    await until(() => hubOf(app).connections.size === 0)
    await poll(
      async () => ((await socketsOf(app)) === 0 ? true : undefined),
      () => 'the socket is still open',
    )
    t.equal(hubOf(app).connections.size, 0)
  })

  await t.test(`${name}: the socket of an ended stream closes soon, even if the client sends bytes`, async (t) => {
    const { app } = await transports[name]!(t)
    trickle(t, await openUnread(t, app))
    await until(() => hubOf(app).connections.size === 1)
    await hubOf(app).connections.end('revoked', () => true)
    await poll(
      async () => ((await socketsOf(app)) === 0 ? true : undefined),
      () => 'the socket is still open',
    )
    t.equal(hubOf(app).connections.size, 0)
  })
}

await t.test('an idle timeout of the application does not end a stream, and is restored afterwards', async (t) => {
  // on a busy machine connecting takes time
  const limit = { connectionTimeout: 800, keepAliveTimeout: 400, requestTimeout: 900, http2SessionTimeout: 800 }
  const apps: Record<string, { app: FastifyInstance; open: (t: Test, app: FastifyInstance) => Transport['open'] }> = {
    'HTTP/1.1': { app: Fastify(limit), open: (_t, app) => byHttp1(app, http.request) },
    'HTTP/1.1 with TLS': {
      app: Fastify({ ...limit, https: { key, cert } }),
      open: (_t, app) => byHttp1(app, https.request),
    },
    'HTTP/2': {
      app: Fastify({ ...limit, http2: true, https: { key, cert } }) as unknown as FastifyInstance,
      open: byHttp2,
    },
  }
  await Promise.all(
    Object.entries(apps).map(async ([name, { app, open }]) => {
      await start(t, app, {}, nothing)
      const openOne = open(t, app)
      const [busy, quiet] = [await openOne(), await openOne('/topics/b/events')]
      for (let n = 0; n < 10; n++) {
        await delay(100) // the streams stay open for several times the limits of the server
        await hubOf(app).publish('a', { data: n })
      }
      await until(() => busy.events.length === 10)
      t.notOk(busy.isClosed || quiet.isClosed, name)
      await hubOf(app).publish('b', { data: 1 })
      await until(() => quiet.events.length === 1)
      await hubOf(app).connections.end('revoked', () => true)
      await until(() => busy.isClosed && quiet.isClosed)
      await poll(
        async () => ((await socketsOf(app)) === 0 ? true : undefined),
        () => `${name}: a connection is still open`,
      )
    }),
  )
})

for (const [name, start] of Object.entries(transports)) {
  await t.test(`${name}: the application is notified of the end of a response`, async (t) => {
    const told = { closed: 0, responses: 0 }
    const { app, open } = await start(t, {}, (app) => {
      app.addHook('onRequest', async (_request, reply) => void reply.raw.once('close', () => told.closed++))
      app.addHook('onResponse', async () => {
        told.responses++
      })
    })
    const subscribers = await Promise.all([open(), open(), open()])
    await until(() => hubOf(app).connections.size === 3)
    t.equal(told.closed, 0, 'not while the stream is open')
    subscribers[0].destroy()
    await until(() => told.closed === 1)
    await hubOf(app).connections.end('revoked', () => true)
    await until(() => told.closed === 3)
    // Fastify calls no onResponse for an answer that is cut off, such as a stream whose response has kept its socket.
    await until(() => told.responses === (name.endsWith(PUBLIC) ? 2 : 3))
  })
}

for (const name of ['HTTP/1.1', 'HTTP/1.1 with TLS'].flatMap((name) => [name, `${name}${PUBLIC}`])) {
  await t.test(`${name}: each write is a chunk, and the last chunk distinguishes an end from a cut`, async (t) => {
    const sockets: Socket[] = []
    const { app } = await transports[name]!(
      t,
      { retainEvents: 1e5 },
      (app) =>
        void app.server.on(name.includes('TLS') ? 'secureConnection' : 'connection', (socket: Socket) =>
          sockets.push(socket),
        ),
    )
    for (let n = 0; n < 30; n++)
      await hubOf(app).publishAll(
        Array.from({ length: 100 }, (_, i) => ({
          topic: 'a',
          text: `${n * 100 + i} €`.padEnd(i === 99 ? 100_000 : 100),
        })),
      )
    for (const end of ['end', 'cut'] as const) {
      const socket = await openUnread(t, app, `${URL}?replay=all`)
      const bytes: Buffer[] = []
      const ended = once(socket, 'end')
      socket.on('data', (chunk: Buffer) => void bytes.push(chunk)).resume()
      const isThere = (what: string) => until(() => Buffer.concat(bytes.slice(-3)).includes(what))
      await isThere('fanfare.live')
      await hubOf(app).publish('a', { data: `until the ${end}` })
      await isThere(`"until the ${end}"`)
      if (end === 'end') await hubOf(app).connections.end('revoked', () => true)
      else sockets.at(-1)!.destroy()
      await ended
      await until(() => hubOf(app).connections.size === 0)
      const { parts, isComplete } = decodeChunks(Buffer.concat(bytes))
      t.equal(isComplete, end === 'end', end)
      if (!name.endsWith(PUBLIC))
        t.ok(
          parts.every((part) => part.endsWith('\n\n')),
          'whole blocks',
        )
      const blocks = parseStream(Buffer.from(parts.join(''))).map(({ event }) => event!)
      const texts = blocks.filter(({ type }) => type === 'message').map(({ data }) => data.split(' ', 1)[0])
      t.strictSame(
        texts.slice(0, 3_000),
        Array.from({ length: 3_000 }, (_, n) => String(n)),
      )
      t.equal(blocks.at(-1)!.type, end === 'end' ? 'fanfare.close' : 'message')
    }
  })
}

for (const name of ['HTTP/1.1', `HTTP/1.1${PUBLIC}`])
  await t.test(
    `${name}: requests after a stream on its connection do not disturb it, and leave nothing behind`,
    async (t) => {
      const { app } = await transports[name]!(t)
      const body = '{"data":1}'
      const publish = `POST /topics/b/events HTTP/1.1\r\nhost: hub\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      const stream = `GET ${URL} HTTP/1.1\r\nhost: hub\r\nauthorization: ${authorization}\r\n\r\n`
      const { port } = app.server.address() as AddressInfo
      for (const [n, requests] of [
        stream + publish,
        stream + stream.repeat(20),
        publish + stream + publish.slice(0, -1),
        stream + publish + stream + publish,
      ].entries()) {
        const socket = net.connect(port, '127.0.0.1')
        t.teardown(() => socket.destroy())
        let text = ''
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
        socket.write(requests)
        await until(() => text.includes('fanfare.open'))
        await delay(20) // a second stream would be open by now
        await hubOf(app).publish('a', { text: `live ${n}` })
        await until(() => text.includes(`live ${n}`))
        t.equal(hubOf(app).connections.size, 1)
        t.equal(text.match(/fanfare\.open/g)!.length, 1)
        socket.destroy()
        await until(() => hubOf(app).connections.size === 0)
      }
      await poll(
        async () => ((await socketsOf(app)) === 0 ? true : undefined),
        () => 'a socket is still open',
      )
      t.doesNotThrow(() => app.server.closeIdleConnections())
    },
  )
