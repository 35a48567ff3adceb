/** The hub behind each proxy of deploy/: real programs with the configuration files that ship. */
import https from 'node:https'
import t, { type Test } from 'tap'
import { poll, within } from '../../helper/deadline.js'
import { request, type Published } from '../../helper/http.js'
import { startHub, type Hub } from '../../helper/process.js'
import type { EventStream } from '../../helper/stream.js'
import { anyTopic, token } from '../../helper/token.js'
import { APP_HOST, HUB_HOST, makeCertificate } from './certificate.js'
import { answerOf, Http2Client } from './client.js'
import { findProgram, PROGRAMS, startProxy, type Proxy } from './programs.js'

const bearer = anyTopic()
const admin = token({ sub: 'root', admin: true })
const HEARTBEAT = 400
/** The limit of the time to a first byte, in milliseconds. */
const AT_ONCE = 100
/** How often a time is measured. The least counts: a busy machine delays some measurements, a buffer delays all. */
const TRIES = 5
const STREAMS = 200
const NDJSON = { authorization: `Bearer ${bearer}`, 'content-type': 'application/x-ndjson' }

interface Behind {
  hub: Hub
  proxy: Proxy
  pem: string
  client: Http2Client
}

function pathOf(topic: string): string {
  return `/topics/${topic}/events`
}

async function publish(client: Http2Client, topic: string, event: object, prefix = ''): Promise<Published> {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
  const answer = await client.send('POST', prefix + pathOf(topic), headers, JSON.stringify(event))
  if (answer.status >= 300) throw new Error(`publishing to ${topic}: ${answer.status} ${answer.body}`)
  return JSON.parse(answer.body) as Published
}

async function open(client: Http2Client, topic: string, lastEventId?: string): Promise<EventStream> {
  return client.openStream(pathOf(topic), { token: bearer, ...(lastEventId !== undefined && { lastEventId }) })
}

function texts({ events }: EventStream): string[] {
  return events.map(({ data }) => data)
}

/** The number of streams of a topic that the hub holds. */
async function streamsOf(hub: Hub, topic: string): Promise<number> {
  const headers = { authorization: `Bearer ${admin}` }
  const url = `${hub.url}/connections?topic=${topic}&limit=1000`
  const { body } = await request<{ connections: unknown[] }>(url, { headers })
  return body.connections.length
}

/** The least time that a step takes, in milliseconds. */
async function best(step: () => Promise<void>): Promise<number> {
  let least = Infinity
  for (let n = 0; n < TRIES; n++) {
    const start = performance.now()
    await step()
    least = Math.min(least, performance.now() - start)
  }
  return least
}

async function testTimes(t: Test, { client }: Behind): Promise<void> {
  const streams: EventStream[] = []
  const opening = await best(async () => {
    const stream = await open(client, 'times')
    await stream.told('open')
    streams.push(stream)
  })
  t.ok(opening < AT_ONCE, `the first block arrives after ${opening.toFixed()} ms`)
  let count = 0
  const delivery = await best(async () => {
    await publish(client, 'times', { data: ++count })
    await streams[0]!.count(count)
  })
  t.ok(delivery < AT_ONCE, `an event arrives after ${delivery.toFixed()} ms`)
  const seen = streams[0]!.heartbeats
  await streams[0]!.until(() => streams[0]!.heartbeats >= seen + 2)
  t.pass('heartbeats arrive')
  for (const stream of streams) stream.destroy()
}

async function testAddress(t: Test, { proxy, pem, hub }: Behind): Promise<void> {
  const client = await Http2Client.connect(t, proxy.port, { pem, localAddress: '127.0.0.9' })
  const headers = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'http' }
  const stream = await client.openStream(pathOf('address'), { token: bearer, headers })
  const id = String(stream.headers['fanfare-connection'])
  const answer = await request<{ address: string }>(`${hub.url}/connections/${id}`, {
    headers: { authorization: `Bearer ${admin}` },
  })
  t.equal(answer.body.address, '127.0.0.9', 'the address that the client claims is ignored')
  stream.destroy()
}

/** A body that is written piece by piece, with HTTP/2 or HTTP/1.1. */
interface Upload {
  write(text: string): void
  end(): Promise<{ status: number; body: string }>
}

function beginHttp2({ client }: Behind): Upload {
  const stream = client.begin('POST', '/events', NDJSON)
  return { write: (text) => void stream.write(text), end: () => answerOf(stream.end()) }
}

function beginHttp1(t: Test, { proxy, pem }: Behind): Upload {
  const sending = https.request(`https://127.0.0.1:${proxy.port}/events`, {
    method: 'POST',
    agent: false,
    ca: pem,
    servername: HUB_HOST,
    headers: { ...NDJSON, host: HUB_HOST },
  })
  t.teardown(() => void sending.destroy())
  const answer = new Promise<{ status: number; body: string }>((resolve, reject) => {
    sending.on('error', reject)
    sending.once('response', (response) => {
      const body = response.setEncoding('utf8').reduce<string>((text, part: string) => text + part, '')
      body.then((text) => resolve({ status: response.statusCode ?? 0, body: text })).catch(reject)
    })
  })
  answer.catch(() => undefined) // `end` reports it
  return {
    write: (text) => void sending.write(text),
    end: () => within((sending.end(), answer), () => 'the upload is not answered'),
  }
}

async function testUpload(t: Test, { client }: Behind, upload: Upload, topic: string): Promise<void> {
  const stream = await open(client, topic)
  await stream.told('open')
  let count = 0
  const delivery = await best(async () => {
    upload.write(`${JSON.stringify({ topic, data: ++count })}\n`)
    await stream.count(count)
  })
  t.ok(delivery < AT_ONCE, `a line arrives after ${delivery.toFixed()} ms`)
  const { status, body } = await upload.end()
  t.equal(status, 200, body)
  t.equal(stream.events.length, TRIES, 'each line is published before the next one is sent')
  stream.destroy()
}

async function testManyStreams(t: Test, { hub, proxy, pem, client }: Behind, ofOne: number): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: STREAMS / ofOne }, () => Http2Client.connect(t, proxy.port, { pem })),
  )
  const opening = clients.flatMap((own) => Array.from({ length: ofOne }, () => open(own, 'many')))
  const streams = await Promise.all(opening)
  await Promise.all(streams.map((stream) => stream.told('open')))
  await publish(client, 'many', { text: 'one' })
  await Promise.all(streams.map((stream) => stream.count(1)))
  t.equal(await streamsOf(hub, 'many'), STREAMS)
  for (const stream of streams) stream.destroy()
  const areGone = async () => (await streamsOf(hub, 'many')) === 0 || undefined
  await poll(areGone, () => 'the hub does not learn that the clients have left')
}

async function testPrefix(t: Test, { proxy, pem }: Behind): Promise<void> {
  const client = await Http2Client.connect(t, proxy.port, { pem, host: APP_HOST })
  const stream = await client.openStream(`/hub${pathOf('prefix')}`, { token: bearer })
  await publish(client, 'prefix', { text: 'one' }, '/hub')
  await stream.count(1)
  stream.destroy()
  const folder = await client.send('GET', '/hub')
  t.equal(folder.status, 308)
  t.match(folder.headers.location, /(^|example\.com(:\d+)?)\/hub\/$/)
  const page = await client.send('GET', '/hub/', { accept: 'text/html' })
  t.equal(page.status, 200)
  const script = /src="\.\/([^"]+\.js)"/.exec(page.body)?.[1]
  t.equal((await client.send('GET', `/hub/${script ?? 'no script'}`)).status, 200, 'the console loads its script')
  t.not((await client.send('GET', '/status')).status, 200, 'the rest of the site is not the hub')
}

async function testHead(t: Test, { client }: Behind): Promise<void> {
  const headers: Record<string, string> = { authorization: `Bearer ${bearer}`, 'x-large': 'x'.repeat(12_000) }
  for (let n = 0; n < 110; n++) headers[`x-${n}`] = '1'
  t.equal((await client.send('GET', '/topics', headers)).status, 200)
}

/** The ways to write a path that a server may decode or normalise to `/metrics`. */
const METRICS = ['/metrics', '/metrics?x=1', '/%6Detrics', '//metrics', '/./metrics', '/x/../metrics']

async function testMetrics(t: Test, { hub, proxy, pem, client }: Behind): Promise<void> {
  t.equal((await request(`${hub.url}/metrics`)).status, 200, 'the hub has metrics')
  const other = await Http2Client.connect(t, proxy.port, { pem, host: APP_HOST })
  for (const path of METRICS) {
    const answers = [await client.send('GET', path), await other.send('GET', `/hub${path}`)]
    for (const { status, body } of answers) {
      t.ok(status >= 400 && status < 500, `${path}: ${status}`)
      t.notMatch(body, 'fanfare_')
    }
  }
  t.equal((await client.send('HEAD', '/metrics')).status, (await client.send('GET', '/metrics')).status)
}

/** Creates a stream, and follows the URLs in answers of the hub. */
async function testUrls(t: Test, { proxy, pem }: Behind, name: string, prefix: '' | '/hub') {
  const host = prefix === '' ? HUB_HOST : APP_HOST
  const client = await Http2Client.connect(t, proxy.port, { pem, host })
  const headers = { authorization: `Bearer ${bearer}` }
  const urlOf = (path: string) => `https://${host}${prefix}${path}`
  /** Requests a URL in an answer to the request for `path`. */
  const follow = async (reference: unknown, path: string) => {
    const { origin, pathname } = new URL(String(reference), urlOf(path))
    t.equal(origin, `https://${host}`)
    return client.send('GET', pathname, headers)
  }
  const path = `/streams/${name}/a:${prefix.slice(1)}b`
  // headers that each proxy replaces
  const own = { 'x-forwarded-prefix': '/of-the-client', 'x-forwarded-host': 'client.example', 'x-forwarded-proto': 'x' }
  const created = await client.send('PUT', prefix + path, { ...headers, ...own, 'content-type': 'text/plain' }, 'x')
  t.equal(created.headers.location, urlOf(path))
  t.equal((await follow(created.headers.location, path)).body, 'x', 'the Location of a stream')
  const forked = { ...headers, 'stream-forked-from': prefix + path }
  t.equal((await client.send('PUT', `${prefix}${path}-fork`, forked)).status, 201, 'the source of a fork')

  const refused = await client.send('GET', `${prefix}/topics/a/nothing`, headers)
  const { type } = JSON.parse(refused.body) as { type: string }
  t.match(JSON.parse((await follow(type, '/topics/a/nothing')).body), { code: 'not-found' }, 'the type of a problem')

  const { body } = await client.send('GET', `${prefix}/openapi.json`)
  const { servers } = JSON.parse(body) as { servers: { url: string }[] }
  const server = new URL(servers[0]!.url, urlOf('/openapi.json')).pathname.replace(/\/$/, '')
  t.equal((await client.send('GET', `${server}/status`)).status, 200, 'the server of the document')

  const session = await client.send('POST', `${prefix}/sessions`, { ...headers, 'content-length': '0' })
  t.match(session.headers['set-cookie']?.[0], `; Path=${prefix || '/'};`, 'the path of the cookie')

  const page = await client.send('GET', `${prefix}/docs`)
  const links = [...page.body.matchAll(/(?:src|href)="([^"#:]+)"/g)].map(([, link]) => link!)
  t.equal(links.length, 2)
  for (const link of links) t.equal((await follow(link, '/docs')).status, 200, `the link ${link} of /docs`)
  const folder = await client.send('GET', `${prefix}/docs/`)
  t.equal((await follow(folder.headers.location, '/docs/')).status, 200, 'a redirect')
}

async function testReload(t: Test, { proxy, pem }: Behind, topic: string): Promise<void> {
  const connect = () => Http2Client.connect(t, proxy.port, { pem })
  const [subscriber, publisher] = [await connect(), await connect()]
  const stream = await open(subscriber, topic)
  await stream.told('open')
  const over = new AbortController()
  let count = 0
  const publishing = (async () => {
    let client = publisher
    for (; !over.signal.aborted; count++) {
      const event = { id: `${topic}-${count}`, data: count }
      // as a publisher does: on a failure it connects again, and sends the event with the same id
      await publish(client, topic, event).catch(async () => publish((client = await connect()), topic, event))
    }
  })()
  await stream.count(20)
  await proxy.reload()
  const atReload = count
  await poll(
    async () => count >= atReload + 20 || undefined,
    () => 'nothing is published after the reload',
  )
  over.abort()
  await publishing
  stream.destroy()
  const resumed = await open(await connect(), topic, stream.lastId)
  await resumed.told('live')
  const expected = Array.from({ length: count }, (_, n) => String(n))
  t.strictSame([...texts(stream), ...texts(resumed)], expected, 'each event comes once, in order')
  t.notOk([...stream.all, ...resumed.all].some(({ type }) => type === 'fanfare.gap'))
  t.comment(`${stream.events.length} of ${count} events arrived before the stream was left`)
}

async function testRedirect(t: Test, { proxy }: Behind): Promise<void> {
  const answer = await request(`http://127.0.0.1:${proxy.plainPort}/status`, { redirect: 'manual' })
  t.equal(answer.status, 308)
  t.match(answer.headers.get('location'), /^https:\/\//)
}

await t.test('the hub behind each proxy', async (t) => {
  const hub = await startHub(t, {
    FANFARE_TRUST_PROXY: '1',
    FANFARE_HEARTBEAT: `${HEARTBEAT}ms`,
    FANFARE_RETAIN_EVENTS: '100000',
  })
  for (const program of PROGRAMS) {
    const path = findProgram(t, program)
    const skip = path === undefined && `there is no ${program.name}: apt-get install ${program.debianPackage}`
    await t.test(program.name, { skip }, async (t) => {
      const folder = t.testdir({})
      const certificate = makeCertificate(folder)
      const proxy = await startProxy(t, program, path!, { folder, hub: `127.0.0.1:${hub.port}`, certificate })
      const client = await Http2Client.connect(t, proxy.port, certificate)
      const behind: Behind = { hub, proxy, pem: certificate.pem, client }
      const name = program.name.toLowerCase()
      await t.test('blocks, events and heartbeats arrive at once', (t) => testTimes(t, behind))
      await t.test('the hub learns the address of the client', (t) => testAddress(t, behind))
      await t.test('an NDJSON upload goes through line by line with HTTP/2', (t) =>
        testUpload(t, behind, beginHttp2(behind), `${name}-h2`),
      )
      await t.test('an NDJSON upload with HTTP/1.1', (t) => testUpload(t, behind, beginHttp1(t, behind), `${name}-h1`))
      await t.test(`200 streams at once, ${program.streams} on a connection`, (t) =>
        testManyStreams(t, behind, program.streams),
      )
      await t.test('the hub under a path of another site', (t) => testPrefix(t, behind))
      await t.test('the metrics are not public', (t) => testMetrics(t, behind))
      await t.test('a request that has as many and as large headers as the hub takes', (t) => testHead(t, behind))
      await t.test('URLs in answers lead to the hub under that path', (t) => testUrls(t, behind, name, '/hub'))
      await t.test('URLs in answers lead to the hub on its own host', (t) => testUrls(t, behind, name, ''))
      await t.test('plain HTTP is redirected', (t) => testRedirect(t, behind))
      await t.test('after a reload of the proxy, a resume brings back every missed event', (t) =>
        testReload(t, behind, `${name}-reload`),
      )
    })
  }
})
