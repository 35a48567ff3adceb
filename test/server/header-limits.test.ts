/** The limits for the head of a request, on real connections of HTTP/1.1 and HTTP/2. */
import { once } from 'node:events'
import http2, { type ClientHttp2Session } from 'node:http2'
import { maxHeaderSize } from 'node:http'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { within } from '../helper/deadline.js'
import { SECRET } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'

const HOST = 'hub'
const FIELDS = 128

interface Answer {
  status: number
  body: string
}

/** Sends a GET with these headers and a `Host`. */
type Ask = (path: string, headers: readonly (readonly [name: string, value: string])[]) => Promise<Answer>

async function start(t: Test): Promise<number> {
  const { cert, key } = selfSigned()
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key })
  const files = { certFile: `${folder}/cert.pem`, keyFile: `${folder}/key.pem` }
  const app = await buildApp({ jwtSecret: SECRET, log: 'memory', tls: files })
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

function askHttp1(port: number): Ask {
  return async (path, headers) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    let text = ''
    socket.on('error', () => undefined).on('data', (bytes) => (text += String(bytes)))
    const fields = [['Host', HOST] as const, ...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.write(`GET ${path} HTTP/1.1\r\n${fields}\r\n`)
    await within(once(socket, 'data'), () => 'no answer')
    socket.destroy()
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), body: text.slice(text.indexOf('\r\n\r\n') + 4) }
  }
}

function askHttp2(t: Test, port: number): Ask {
  const session: ClientHttp2Session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => undefined)
  t.teardown(() => session.destroy())
  return async (path, headers) => {
    const fields: Record<string, string | string[]> = { ':path': path, ':authority': HOST }
    for (const [name, value] of headers) fields[name] = name in fields ? [fields[name]!, value].flat() : value
    const stream = session.request(fields)
    let body = ''
    stream.setEncoding('utf8').on('data', (part: string) => (body += part))
    const answered = once(stream, 'response') as Promise<[http2.IncomingHttpHeaders]>
    const [head] = await within(answered, () => 'no answer')
    await once(stream, 'close')
    return { status: head[':status'] as unknown as number, body }
  }
}

/** Returns headers that make the largest head that is accepted, and `more` bytes. */
function filled(path: string, more: number): (readonly [string, string])[] {
  const rest = maxHeaderSize - 1 - path.length - 'host'.length - HOST.length
  return [['x', 'x'.repeat(rest - 'x'.length + more)]]
}

function many(count: number): (readonly [string, string])[] {
  return Array.from({ length: count }, (_, n) => [`x-${n}`, 'x'] as const)
}

t.equal(maxHeaderSize, 16 * 1024, 'the limit of the docs')

for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const)
  void t.test(`${protocol}: 16 KiB and 128 headers are the limit`, async (t) => {
    const port = await start(t)
    const ask = protocol === 'HTTP/2' ? askHttp2(t, port) : askHttp1(port)
    const refused = async (what: string, asking: Promise<Answer>) => {
      const { status, body } = await asking
      t.equal(status, 431, what)
      t.match(JSON.parse(body), { code: 'headers-too-large', status: 431, detail: String }, what)
    }
    for (const path of ['/status', '/health/live']) {
      t.equal((await ask(path, filled(path, 0))).status, 200, 'the largest head')
      await refused('one byte more', ask(path, filled(path, 1)))
    }
    await refused('much more', ask('/status', filled('/status', 20_000)))
    await refused('a long URL', ask(`/status?${'x'.repeat(maxHeaderSize)}`, []))
    t.equal((await ask('/status', many(FIELDS - 1))).status, 200, 'the most headers, with Host')
    await refused('one header more', ask('/status', many(FIELDS)))
    await refused('many headers', ask('/status', many(1_500)))
    await refused('without a route', ask('/nothing', many(FIELDS)))
  })

await t.test('HTTP/2: the pairs of a cookie count as one header', async (t) => {
  const ask = askHttp2(t, await start(t))
  const cookies = Array.from({ length: 150 }, (_, n) => ['cookie', `name-${n}=x`] as const)
  t.equal((await ask('/status', cookies)).status, 200)
  t.equal((await ask('/status', [...cookies, ['cookie', 'x'.repeat(maxHeaderSize)]])).status, 431)
})

await t.test('HTTP/2: headers far beyond the limit reset their stream, and the connection goes on', async (t) => {
  const port = await start(t)
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  const large = session.request({ ':path': '/status', ...Object.fromEntries(many(2_100)) })
  large.on('error', () => undefined)
  await within(new Promise((resolve) => large.once('close', resolve)), () => 'the stream is open')
  t.not(large.rstCode, http2.constants.NGHTTP2_NO_ERROR) // which one depends on the version of Node
  const next = session.request({ ':path': '/status' }).resume()
  const [head] = (await once(next, 'response')) as [http2.IncomingHttpHeaders]
  t.equal(head[':status'], 200)
})
