/** The built hub with its own certificate: HTTP/2 and HTTP/1.1 on one port, renewal, stop, workers and commands. */
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { runCommand } from '../helper/command.js'
import { poll } from '../helper/deadline.js'
import { startHub, type Hub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'

const authorization = `Bearer ${anyTopic()}`
const STREAMS = 100

function makeFiles(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = { FANFARE_TLS_CERT: join(folder, 'cert.pem'), FANFARE_TLS_KEY: join(folder, 'key.pem') }
  const write = () => {
    const { cert, key } = selfSigned()
    writeFileSync(files.FANFARE_TLS_CERT, cert)
    writeFileSync(files.FANFARE_TLS_KEY, key)
  }
  write()
  return { files, write, folder }
}

function connect(t: Test, { url }: Hub): http2.ClientHttp2Session {
  const session = http2.connect(url, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  return session.on('error', () => undefined)
}

/** Opens a stream, and collects its text. */
function subscribe(session: http2.ClientHttp2Session): { text: string; isClosed: boolean } {
  const stream = session.request({ ':path': '/topics/a/events', authorization, accept: 'text/event-stream' })
  const subscriber = { text: '', isClosed: false }
  stream.setEncoding('utf8').on('data', (part: string) => (subscriber.text += part))
  stream.on('error', () => undefined).once('close', () => (subscriber.isClosed = true))
  return subscriber
}

async function publish(session: http2.ClientHttp2Session, data: unknown): Promise<unknown> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/topics/a/events',
    authorization,
    'content-type': 'application/json',
  })
  stream.end(JSON.stringify({ data }))
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  stream.resume()
  return head[':status']
}

/** Returns the fingerprint of the certificate that a new connection gets. */
async function fingerprintOf({ port }: Hub): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

const allHave = (subscribers: { text: string }[], text: string) =>
  poll(
    async () => (subscribers.every((subscriber) => subscriber.text.includes(text)) ? true : undefined),
    () => `not every stream has ${text}`,
  )

await t.test(
  'one connection carries 100 streams and publishes, through a renewal and to a graceful stop',
  async (t) => {
    const { files, write } = makeFiles(t)
    const hub = await startHub(t, { ...files, FANFARE_DRAIN: '1s' })
    t.match(hub.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    const session = connect(t, hub)
    const subscribers = Array.from({ length: STREAMS }, () => subscribe(session))
    await allHave(subscribers, 'fanfare.open')
    t.equal(await publish(session, 'first'), 201)
    await allHave(subscribers, 'data: "first"')
    const answer = await new Promise<number | undefined>((resolve, reject) =>
      https
        .get(`${hub.url}/status`, { rejectUnauthorized: false, agent: false }, ({ statusCode }) => resolve(statusCode))
        .on('error', reject),
    )
    t.equal(answer, 200, 'HTTP/1.1 on the same port')

    const before = await fingerprintOf(hub)
    write()
    await poll(
      async () => ((await fingerprintOf(hub)) === before ? undefined : true),
      () => `the certificate is not renewed:\n${hub.output()}`,
    )
    t.equal(await publish(session, 'second'), 201)
    await allHave(subscribers, 'data: "second"')

    const told: unknown[] = []
    session.once('goaway', () => told.push('goaway'))
    t.equal(await hub.stop(), 0)
    await allHave(subscribers, 'fanfare.close')
    t.ok(told.length === 1 && subscribers.every(({ isClosed }) => isClosed))
  },
)

await t.test('workers, and the commands of the same machine', async (t) => {
  const { files, folder } = makeFiles(t)
  const hub = await startHub(t, { ...files, FANFARE_WORKERS: '2', FANFARE_LOG: `file:${join(folder, 'log')}` })
  const session = connect(t, hub)
  t.equal(await publish(session, 1), 201)
  const local = { ...files, PORT: String(hub.port) }
  const token = anyTopic()
  t.match(await runCommand(t, ['health'], { env: local }), { code: 0, stderr: '' })
  t.match(await runCommand(t, ['topics', '--token', token], { env: local }), { code: 0, stdout: /^.*\ba\b/m })
  const away = ['topics', '--url', hub.url, '--token', token]
  t.match(await runCommand(t, away), { code: 3, stderr: /certificate .* NODE_EXTRA_CA_CERTS/ })
  t.match(await runCommand(t, away, { env: { NODE_EXTRA_CA_CERTS: files.FANFARE_TLS_CERT } }), { code: 0 })
  t.equal(await hub.stop(), 0)
})

await t.test('a certificate that cannot be used stops the start with one sentence', async (t) => {
  const { files } = makeFiles(t)
  writeFileSync(files.FANFARE_TLS_KEY, selfSigned().key)
  const { code, stderr } = await runCommand(t, ['start'], { env: { ...files, FANFARE_LOG: 'memory' } })
  t.equal(code, 1)
  t.match(stderr, /^FANFARE_TLS_KEY=.* is not the key of the certificate in FANFARE_TLS_CERT=.*\n$/)
})
