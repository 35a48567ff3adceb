/** What the proxies of deploy/ answer while the only hub restarts: publishers try again, and EventSource resumes. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { poll } from '../../helper/deadline.js'
import { freePort } from '../../helper/free-port.js'
import { publish } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { anyTopic } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../../browser/chromium.js'
import { APP_HOST, HUB_HOST, makeCertificate } from './certificate.js'
import { Http2Client } from './client.js'
import { findProgram, PROGRAMS, startProxy, type Proxy } from './programs.js'

/** A browser and four proxies may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const chromium = findChromium()
const TOPIC = 'public.news'
const EVENTS = `/topics/${TOPIC}/events`
const STREAM = 'text/event-stream'
const TICKET = 'a-secret-ticket'

type Host = typeof HUB_HOST | typeof APP_HOST

interface Running {
  name: string
  proxy: Proxy
}

/** The globals of the page's scripts, which run in the browser. */
declare global {
  interface Window {
    /** What the EventSource of each proxy has got: events, and the reasons in `fanfare.close`. */
    followed: { source: EventSource; events: string[]; closed: string[]; gaps: number }[]
  }
}

/** Opens an EventSource through each proxy. */
async function follow(page: Page, ports: number[]): Promise<void> {
  const urls = ports.map((port) => `https://${HUB_HOST}:${port}${EVENTS}`)
  await page.evaluate((urls) => {
    window.followed = urls.map((url) => {
      const source = new EventSource(url, { withCredentials: true })
      const followed = { source, events: [] as string[], closed: [] as string[], gaps: 0 }
      source.onmessage = ({ data }: MessageEvent<string>) => followed.events.push(data)
      source.addEventListener('fanfare.gap', () => followed.gaps++)
      source.addEventListener('fanfare.close', ({ data }: MessageEvent<string>) =>
        followed.closed.push((JSON.parse(data) as { reason: string }).reason),
      )
      return followed
    })
  }, urls)
}

interface Seen {
  state: number
  events: string[]
  closed: string[]
  gaps: number
}

/** Waits until every EventSource satisfies a condition. */
async function until(page: Page, condition: (seen: Seen) => boolean, what: string): Promise<Seen[]> {
  const look = () =>
    page.evaluate(() => window.followed.map(({ source, ...rest }) => ({ state: source.readyState, ...rest })))
  let seen: Seen[] = []
  const isOver = async () => ((seen = await look()).every(condition) ? seen : undefined)
  return poll(isOver, () => `${what}: ${JSON.stringify(seen)}`)
}

/** Reads the answer to a stream whose hub is away. Returns its `retry` in milliseconds. */
async function readBusy(t: Test, { name, proxy }: Running, pem: string, host: Host) {
  const client = await Http2Client.connect(t, proxy.port, { pem, host })
  const origin = 'https://shop.example.com'
  const path = host === APP_HOST ? `/hub/events?topic=a&ticket=${TICKET}` : `${EVENTS}?ticket=${TICKET}`
  const { status, headers, body } = await client.send('GET', path, { accept: STREAM, origin })
  t.equal(status, 200, name)
  t.match(headers, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': /^no-store/,
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
  })
  let retry = 0
  const events: EventSourceMessage[] = []
  createParser({ onEvent: (event) => events.push(event), onRetry: (ms) => (retry = ms) }).feed(body)
  t.match(events, [{ event: 'fanfare.close' }])
  t.strictSame(JSON.parse(events[0]!.data), { reason: 'busy', retry })
  t.ok(retry >= 5_000 && retry < 10_000, `${retry} ms`)
  return retry
}

const REFUSED = [
  ['POST', EVENTS, STREAM],
  ['POST', '/events', '*/*'],
  ['GET', EVENTS, 'application/json'],
  ['GET', '/status', STREAM],
  ['GET', '/topics/a/b/events', STREAM],
] as const

/** Every request that is not for a stream is refused, and may be repeated. */
async function testRefusals(t: Test, { name, proxy }: Running, pem: string): Promise<void> {
  const client = await Http2Client.connect(t, proxy.port, { pem })
  const origin = 'https://shop.example.com'
  const asking = REFUSED.map(async ([method, path, accept]) => {
    const { status, headers, body } = await client.send(method, path, { accept, origin })
    t.equal(status, 503, `${name}: ${method} ${path}`)
    t.match(headers, {
      'retry-after': '1',
      'content-type': 'application/problem+json',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'Retry-After',
    })
    t.match(JSON.parse(body), { type: '/errors/unavailable', code: 'unavailable', status: 503, requestId: String })
  })
  await Promise.all(asking)
}

async function startProxies(t: Test, parent: string, hub: string) {
  const certificate = makeCertificate(parent)
  const running: Running[] = []
  for (const program of PROGRAMS) {
    const path = findProgram(t, program)
    const folder = join(parent, program.name)
    mkdirSync(folder)
    if (path === undefined) t.comment(`there is no ${program.name}: apt-get install ${program.debianPackage}`)
    else running.push({ name: program.name, proxy: await startProxy(t, program, path, { folder, hub, certificate }) })
  }
  return { running, certificate }
}

/** Opens a page of the site that has the hub under a path. */
async function openPage(t: Test, origin: string): Promise<Page> {
  const browser = await startChromium(t, chromium, ['--host-resolver-rules=MAP *.example.com 127.0.0.1'])
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  await page.goto(`${origin}/`)
  return page
}

await t.test('while the only hub restarts', { skip: skipWithout(chromium), timeout: TIMEOUT }, async (t) => {
  const port = await freePort()
  const folder = t.testdir({})
  const { running, certificate } = await startProxies(t, folder, `127.0.0.1:${port}`)
  const origin = `https://${APP_HOST}:${running[0]!.proxy.port}`
  const settings = {
    PORT: String(port),
    FANFARE_LOG: `file:${folder}/log`,
    FANFARE_TRUST_PROXY: '1',
    FANFARE_ANONYMOUS_SUBSCRIBE: 'public.*',
    FANFARE_CORS_ORIGINS: origin,
  }
  const page = await openPage(t, origin)
  const hub = await startHub(t, settings)
  await follow(
    page,
    running.map(({ proxy }) => proxy.port),
  )
  await until(page, ({ state }) => state === 1, 'open')
  await publish(hub, TOPIC, { text: 'before' }, anyTopic())
  await until(page, ({ events }) => events.length === 1, 'the first event')

  t.equal(await hub.stop(), 0)
  const retries = running.flatMap((one) =>
    ([HUB_HOST, APP_HOST] as const).map((host) => readBusy(t, one, certificate.pem, host)),
  )
  await Promise.all(running.map((one) => testRefusals(t, one, certificate.pem)))
  t.ok(new Set(await Promise.all(retries)).size > running.length, 'clients do not come at the same time')
  for (const { name, proxy } of running) t.notOk(proxy.logs().includes(TICKET), `${name} logs no ticket`)
  await until(page, ({ closed }) => closed.includes('busy'), 'the answer of the proxy')

  const revived = await startHub(t, settings)
  for (const text of ['while', 'away']) await publish(revived, TOPIC, { text }, anyTopic())
  const seen = await until(page, ({ events }) => events.length >= 3, 'the events after the restart')
  for (const { events, gaps, state } of seen) {
    t.strictSame(events, ['before', 'while', 'away'], 'each event comes once, in order')
    t.equal(gaps, 0)
    t.equal(state, 1)
  }
})
