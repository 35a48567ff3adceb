/** The browser's EventSource on a page of an origin other than the hub's, with a session and with a ticket. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { history, publish, send } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { token } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'

/** The globals of the page's scripts, which run in the browser. */
declare global {
  interface Window {
    source: EventSource
    /** The received events and the state of the EventSource. */
    received: { data: string; id: string }[]
    errors: number
  }
}

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

const ann = token({ sub: 'ann', subscribe: ['orders.*'], publish: ['orders.*'] })
const publisher = token({ publish: ['**'] })

/** Serves an empty page at every path and under every host name. */
async function servePages(t: Test): Promise<number> {
  const server = http.createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>a page</title>'),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}

/** Puts TLS in front of a hub, as a reverse proxy does. */
async function proxyByTls(t: Test, hub: () => Hub): Promise<number> {
  const proxy = https.createServer(selfSigned(), (incoming, response) => {
    const headers = { ...incoming.headers, 'x-forwarded-proto': 'https', 'x-forwarded-host': incoming.headers.host }
    const outgoing = http.request(hub().url + incoming.url!, { method: incoming.method!, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close().closeAllConnections())
  return (proxy.address() as AddressInfo).port
}

/**
 * Sends a request to the hub from a page's script. Returns `undefined` if the browser hides the answer from the script.
 */
function ask(page: Page, url: string, init: RequestInit = {}): Promise<{ status: number; code?: string } | undefined> {
  return page.evaluate(
    async ([url, init]) => {
      try {
        const response = await fetch(url, { credentials: 'include', ...init })
        const text = await response.text()
        return { status: response.status, ...(text.startsWith('{') ? (JSON.parse(text) as { code?: string }) : {}) }
      } catch {
        return undefined
      }
    },
    [url, init] as const,
  )
}

/** Opens an EventSource in the page. Resolves with its `readyState` when it is open or has failed. */
function openSource(page: Page, url: string, withCredentials: boolean): Promise<number> {
  return page.evaluate(
    ([url, withCredentials]) => {
      const source = (window.source = new EventSource(url, { withCredentials }))
      window.received = []
      window.errors = 0
      source.onmessage = ({ data, lastEventId }: MessageEvent<string>) =>
        window.received.push({ data, id: lastEventId })
      return new Promise<number>((resolve) => {
        source.onopen = () => resolve(source.readyState)
        source.onerror = () => {
          window.errors++
          resolve(source.readyState)
        }
      })
    },
    [url, withCredentials] as const,
  )
}

const OPEN = 1
const CLOSED = 2

await t.test('a page of another origin', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  // Host names of two sites, all of which resolve to this machine. Cookies ignore the port, and IP addresses never
  // share a site.
  const browser = await startChromium(t, path, ['--host-resolver-rules=MAP *.test 127.0.0.1'])
  const pages = await servePages(t)
  const app = `http://app.example.test:${pages}`
  const neighbour = `http://neighbour.example.test:${pages}`
  const stranger = `http://www.stranger.test:${pages}`
  const beyond = `http://www2.stranger.test:${pages}`

  /** Opens a tab with its own cookies. */
  async function visit(t: Test, origin: string): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    t.teardown(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    await page.goto(origin)
    return page
  }

  /** Goes to a page of another origin with the same cookies. */
  async function beside(page: Page, origin: string): Promise<Page> {
    const other = await page.context().newPage()
    await other.goto(origin)
    return other
  }

  function login(page: Page, url: string): ReturnType<typeof ask> {
    return ask(page, `${url}/sessions`, { method: 'POST', headers: { authorization: `Bearer ${ann}` } })
  }

  /** Publishes without a preflight, as a form of a page can. Resolves with the reason of the refusal. */
  async function publishByForm(page: Page, hub: Hub, stream: string): Promise<unknown> {
    const refusals = () => hub.logs().filter(({ msg, method }) => msg === 'request refused' && method === 'POST')
    const before = refusals().length
    await ask(page, stream, {
      method: 'POST',
      mode: 'no-cors',
      headers: { 'content-type': 'text/plain' },
      body: 'evil',
    })
    return poll(
      async () => refusals()[before]?.['code'],
      () => 'the hub refuses nothing',
    )
  }

  /** Publishes an event, and waits until the page's EventSource has received it. */
  async function receives(t: Test, page: Page, hub: Hub): Promise<void> {
    const { id, subscribers } = await publish(hub, 'orders.42', { data: { total: 12 } }, publisher)
    t.equal(subscribers, 1)
    await page.waitForFunction((id) => window.received.some((event) => event.id === id), id)
    t.strictSame(await page.evaluate(() => window.received.at(-1)), { data: '{"total":12}', id })
  }

  await t.test('of the same site can use a session over plain HTTP (SameSite=Lax)', async (t) => {
    const hub = await startHub(t, { FANFARE_CORS_ORIGINS: app })
    const url = `http://hub.example.test:${hub.port}`
    const stream = `${url}/topics/orders.42/events`
    const page = await visit(t, app)
    t.equal(await openSource(page, stream, true), CLOSED, 'without a session the stream is refused for good')
    t.match(await login(page, url), { status: 204 })
    t.equal(await page.evaluate(() => document.cookie), '', 'scripts cannot read the cookie')
    t.equal(await openSource(page, stream, true), OPEN)
    await receives(t, page, hub)
    t.match(
      await ask(page, stream, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"data":"by cookie"}',
      }),
      { status: 201 },
      'the page can publish',
    )
    await page.waitForFunction(() => window.received.at(-1)?.data === '"by cookie"')

    await t.test(
      'of an origin that is not on the list is refused, although the browser sends the cookie',
      async (t) => {
        const other = await beside(page, neighbour)
        t.equal(await openSource(other, stream, true), CLOSED)
        t.strictSame(await other.evaluate(() => [window.received, window.errors]), [[], 1])
        t.equal(
          await ask(other, stream, { headers: { accept: 'application/json' } }),
          undefined,
          'the page cannot read history',
        )
        t.equal(
          await ask(other, stream, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: '{"data":"evil"}',
          }),
          undefined,
          'the page cannot publish with a preflight',
        )
        t.equal(
          await publishByForm(other, hub, stream),
          'foreign-origin',
          'the page cannot publish as a form does, without a preflight',
        )
        t.equal(await ask(other, `${url}/sessions`, { method: 'DELETE' }), undefined, 'the page cannot end the session')
        const { body } = await history(hub, 'orders.*', 'last=10', ann)
        t.strictSame(
          body.events.map(({ data }) => data),
          [{ total: 12 }, 'by cookie'],
        )
        t.equal(await openSource(page, stream, true), OPEN, 'the session continues')
      },
    )

    t.match(await ask(page, `${url}/sessions`, { method: 'DELETE' }), { status: 204 })
    t.equal(await openSource(page, stream, true), CLOSED, 'after DELETE /sessions the stream is refused')
    t.match(await ask(page, stream, { headers: { accept: 'application/json' } }), {
      status: 401,
      code: 'missing-token',
    })
  })

  await t.test('of another site can use a session only with TLS in front of the hub (SameSite=None)', async (t) => {
    const plain = await startHub(t, { FANFARE_CORS_ORIGINS: stranger })
    const plainUrl = `http://hub.example.test:${plain.port}`
    const page = await visit(t, stranger)
    t.match(await login(page, plainUrl), { status: 204 })
    t.equal(
      await openSource(page, `${plainUrl}/topics/orders.42/events`, true),
      CLOSED,
      'the browser does not keep the cookie',
    )

    const hub = await startHub(t, { FANFARE_CORS_ORIGINS: stranger, FANFARE_TRUST_PROXY: '127.0.0.1' })
    const url = `https://hub.example.test:${await proxyByTls(t, () => hub)}`
    const stream = `${url}/topics/orders.42/events`
    t.match(await login(page, url), { status: 204 })
    const [cookie] = await page.context().cookies(url)
    t.match(
      cookie,
      { name: 'fanfare_token', httpOnly: true, secure: true, sameSite: 'None' },
      'the browser keeps the partitioned cookie, although it blocks the cookies of other sites',
    )
    t.equal(await openSource(page, stream, true), OPEN)
    await receives(t, page, hub)

    for (const [origin, code] of [
      [beyond, 'foreign-origin'],
      [neighbour, 'missing-token'],
    ] as const) {
      const other = await beside(page, origin)
      t.equal(
        await openSource(other, stream, true),
        CLOSED,
        `a page of ${origin}, which is not on the list, cannot read`,
      )
      t.equal(
        await publishByForm(other, hub, stream),
        code,
        'it cannot publish either: the browser sends the cookie only on pages of its site',
      )
    }
    t.equal((await history(hub, 'orders.*', 'last=10', ann)).body.events.length, 1)

    t.match(await ask(page, `${url}/sessions`, { method: 'DELETE' }), { status: 204 })
    t.equal(await openSource(page, stream, true), CLOSED, 'after DELETE /sessions the stream is refused')
  })

  await t.test('gets heartbeats, which move the last event id and are not messages', async (t) => {
    const hub = await startHub(t, {
      FANFARE_CORS_ORIGINS: '*',
      FANFARE_ANONYMOUS_SUBSCRIBE: 'orders.*',
      FANFARE_HEARTBEAT: '100ms',
    })
    const page = await visit(t, stranger)
    t.equal(
      await openSource(page, `http://hub.example.test:${hub.port}/topics/orders.42/events?type=created`, false),
      OPEN,
    )
    const { id } = await publish(hub, 'elsewhere', { data: 1 }, publisher)
    const last = await page.evaluate(
      (id) =>
        new Promise<string>((resolve) => {
          window.source.addEventListener('fanfare.heartbeat', ({ data, lastEventId }: MessageEvent<string>) => {
            if (lastEventId === id) resolve(data)
          })
        }),
      id,
    )
    t.equal(last, '{}')
    t.strictSame(await page.evaluate(() => [window.received, window.errors]), [[], 0])
  })

  await t.test('reconnects with the ticket in its URL, without credentials', async (t) => {
    const hub = await startHub(t, { FANFARE_CORS_ORIGINS: '*' })
    const url = `http://hub.example.test:${hub.port}`
    const page = await visit(t, stranger)
    const ticket = await page.evaluate(
      async ([url, bearer]) => {
        const response = await fetch(`${url}/tickets`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${bearer}` },
        })
        return ((await response.json()) as { ticket: string }).ticket
      },
      [url, ann] as const,
    )
    const stream = `${url}/topics/orders.42/events`
    t.equal(await openSource(page, `${stream}?ticket=x`, false), CLOSED)
    t.equal(await openSource(page, `${stream}?ticket=${ticket}`, false), OPEN)
    await receives(t, page, hub)
    t.match(await send(hub, 'DELETE', '/connections?subject=ann', { token: token({ admin: true }) }), {
      body: { closed: 1 },
    })
    const missed = await publish(hub, 'orders.42', { data: 'missed' }, publisher)
    await page.waitForFunction((id) => window.received.at(-1)?.id === id, missed.id)
    t.strictSame(
      await page.evaluate(() => [window.received.length, window.source.readyState]),
      [2, OPEN],
      'the page gets the missed event',
    )
    t.notOk(hub.output().includes(ticket.split('.')[1]!), 'the log does not contain the ticket')
  })
})
