import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { openStream } from '../helper/stream.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { listen, openApp } from '../routes/open-app.js'

const ORIGIN = 'https://app.example.com'
const OTHER = 'https://evil.example'

function names(header: http.OutgoingHttpHeader | undefined): string[] {
  return [header ?? '']
    .flat()
    .join()
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .sort()
}

/** Sends the raw text of a request and returns the head of the answer in lower case. */
async function rawHead(port: number, text: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk: Buffer) => void (answer += chunk.toString()))
  await once(socket, 'close')
  return `${answer.split('\r\n\r\n')[0]!.toLowerCase()}\r\n`
}

async function start(t: Test, settings: AppSettings = { corsOrigins: [ORIGIN, 'http://localhost:8080'] }) {
  const hub = await openApp(t, settings)
  const get = (origin: string, url = '/topics/a/events', headers: Record<string, string | null> = {}) =>
    hub.send({ method: 'GET', url, headers: { origin, accept: 'application/json', ...headers } })
  const preflight = (origin: string, url: string, method: string, asked: string) =>
    hub.send({
      method: 'OPTIONS',
      url,
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': asked,
        authorization: null,
      },
    })
  return { ...hub, get, preflight }
}

await t.test('without allowed origins no page can read answers', async (t) => {
  const { get, preflight } = await start(t, {})
  const response = await get(ORIGIN)
  t.equal(response.statusCode, 200)
  t.equal(response.headers['access-control-allow-origin'], undefined)
  t.equal(
    (await preflight(ORIGIN, '/topics/a/events', 'POST', 'authorization')).headers['access-control-allow-origin'],
    undefined,
  )
})

await t.test('a page of an allowed origin can read answers, with credentials', async (t) => {
  const { get } = await start(t)
  for (const origin of [ORIGIN, 'http://localhost:8080']) {
    const { headers } = await get(origin)
    t.match(headers, { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' })
    t.ok(names(headers['vary']).includes('origin'), 'caches keep the answers of different origins apart')
    t.ok(names(headers['vary']).includes('accept'))
    for (const name of ['fanfare-connection', 'last-event-id'])
      t.ok(names(headers['access-control-expose-headers']).includes(name), `${name} is exposed`)
  }
})

await t.test('a page of another origin cannot read answers', async (t) => {
  const { get, preflight } = await start(t)
  for (const origin of [
    OTHER,
    `${ORIGIN}.evil.example`,
    `${ORIGIN}:8443`,
    'http://app.example.com',
    'null',
    `${ORIGIN}/`,
    'https://sub.app.example.com',
  ]) {
    t.equal((await get(origin)).headers['access-control-allow-origin'], undefined, origin)
    const { headers } = await preflight(origin, '/topics/a/events', 'POST', 'authorization')
    t.not(headers['access-control-allow-origin'], origin)
  }
})

await t.test('a preflight needs no token, and allows the headers that clients send', async (t) => {
  const { preflight } = await start(t)
  for (const [url, method, asked] of [
    ['/topics/a/events', 'GET', 'authorization,last-event-id'],
    ['/events?topic=a', 'GET', 'last-event-id'],
    ['/topics/a/events', 'POST', 'authorization,content-type,idempotency-key'],
    ['/events', 'POST', 'content-type'],
  ] as const) {
    const { statusCode, headers, body } = await preflight(ORIGIN, url, method, asked)
    t.equal(statusCode, 204, `${method} ${url}`)
    t.equal(body, '')
    t.match(headers, {
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-max-age': /^\d+$/,
    })
    t.ok(names(headers['access-control-allow-methods']).includes(method.toLowerCase()))
    for (const name of names(asked))
      t.ok(names(headers['access-control-allow-headers']).includes(name), `${name} is allowed`)
  }
})

await t.test('a preflight allows the headers that tracing and monitoring add', async (t) => {
  const { preflight } = await start(t)
  const asked = 'authorization, baggage, sentry-trace, traceparent, cache-control, x-requested-with'
  const { statusCode, headers } = await preflight(ORIGIN, '/topics/a/events', 'POST', asked)
  t.equal(statusCode, 204)
  t.strictSame(names(headers['access-control-allow-headers']), asked.split(', ').sort())
  t.ok(
    names(headers['vary']).includes('access-control-request-headers'),
    'caches keep the answers to different requested headers apart',
  )
  const many = await preflight(
    ORIGIN,
    '/topics/a/events',
    'POST',
    ['x y', 'é', '', 'x'.repeat(200), ...Array.from({ length: 500 }, (_, n) => `x-${n}`)].join(','),
  )
  t.strictSame(
    names(many.headers['access-control-allow-headers']),
    Array.from({ length: 96 }, (_, n) => `x-${n}`).sort(),
    'valid names only, and a limited number of them',
  )
  t.equal((await preflight(OTHER, '/topics/a/events', 'POST', asked)).headers['access-control-allow-origin'], undefined)
})

await t.test('"*" before a host allows its subdomains, with credentials', async (t) => {
  const { get, preflight } = await start(t, { corsOrigins: ['https://*.example.com', 'capacitor://localhost'] })
  for (const origin of [ORIGIN, 'https://a.b.example.com', 'capacitor://localhost']) {
    t.match((await get(origin)).headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: /Origin/,
    })
    t.equal(
      (await preflight(origin, '/topics/a/events', 'POST', 'authorization')).headers['access-control-allow-origin'],
      origin,
    )
  }
  for (const origin of [
    'https://example.com',
    'http://app.example.com',
    'https://evil-example.com',
    `${ORIGIN}.evil.org`,
    `${ORIGIN}:8443`,
    'null',
  ]) {
    const { headers } = await get(origin)
    t.equal(headers['access-control-allow-origin'], undefined, origin)
    t.match(headers['vary'], /Origin/)
  }
})

await t.test('refusals before routing have CORS headers', async (t) => {
  const { app, get, preflight } = await start(t, { corsOrigins: [ORIGIN, 'https://*.example.org'] })
  const urls = [
    ['/topics/%zz/events', 400],
    [`/topics/${'a'.repeat(700)}/events`, 414],
  ] as const
  for (const [url, status] of urls) {
    for (const origin of [ORIGIN, 'https://a.example.org']) {
      const response = await get(origin, url)
      t.equal(response.statusCode, status)
      t.match(response.headers, {
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        vary: 'Origin',
        'access-control-expose-headers': /WWW-Authenticate/,
      })
    }
    const { headers } = await get(OTHER, url)
    t.match(headers, {
      'access-control-allow-origin': undefined,
      'access-control-allow-credentials': undefined,
      vary: 'Origin',
    })
    const asked = await preflight(ORIGIN, url, 'GET', 'authorization, traceparent')
    t.match(
      asked,
      {
        statusCode: 204,
        headers: {
          'access-control-allow-origin': ORIGIN,
          'access-control-allow-credentials': 'true',
          'access-control-allow-methods': /GET/,
          'access-control-allow-headers': 'authorization, traceparent',
        },
      },
      'the browser sends the request only after an answered preflight',
    )
    t.equal((await preflight(OTHER, url, 'GET', 'authorization')).headers['access-control-allow-origin'], undefined)
  }
  const port = Number(new URL(await listen(app)).port)
  const ask = (origin: string, rest: string) =>
    rawHead(port, `GET / HTTP/1.1\r\nHost: hub\r\nOrigin: ${origin}\r\n${rest}\r\n\r\n`)
  for (const [rest, status] of [
    ['bad header', 400],
    [`x: ${'x'.repeat(30_000)}`, 431],
  ] as const) {
    const allowed = await ask(ORIGIN, rest)
    t.match(allowed, new RegExp(`^http/1\\.1 ${status} `))
    t.match(allowed, `\r\naccess-control-allow-origin: ${ORIGIN}\r\naccess-control-allow-credentials: true\r\n`)
    t.match(allowed, /\r\nvary: origin\r\n/)
    const refused = await ask(OTHER, rest)
    t.match(refused, new RegExp(`^http/1\\.1 ${status} `))
    t.notMatch(refused, /access-control-allow/)
  }
  const anywhere = await start(t, { corsOrigins: ['*'] })
  for (const [url] of urls)
    t.match((await anywhere.get(OTHER, url)).headers, {
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': undefined,
      vary: undefined,
    })
  const nowhere = await start(t, {})
  for (const [url] of urls)
    t.match((await nowhere.get(OTHER, url)).headers, { 'access-control-allow-origin': undefined, vary: undefined })
})

await t.test('refusals have CORS headers', async (t) => {
  const { get } = await start(t)
  for (const [url, headers, status] of [
    ['/topics/a/events', { authorization: null }, 401],
    ['/topics/a..b/events', {}, 400],
    ['/topics/fanfare.stats/events', {}, 403],
    ['/topics/a/events', { accept: 'text/html' }, 406],
    ['/nothing', {}, 404],
    ['/sessions', {}, 405],
  ] as const) {
    const response = await get(ORIGIN, url, headers)
    t.equal(response.statusCode, status)
    t.match(
      response.headers,
      { 'access-control-allow-origin': ORIGIN, 'access-control-allow-credentials': 'true' },
      `${status} ${url}`,
    )
    t.ok(names(response.headers['access-control-expose-headers']).includes('www-authenticate'))
  }
})

await t.test('* allows any page, but without credentials', async (t) => {
  const { get, preflight } = await start(t, { corsOrigins: ['*'] })
  for (const origin of [ORIGIN, OTHER, 'null']) {
    const { headers } = await get(origin)
    t.equal(headers['access-control-allow-origin'], '*')
    t.equal(headers['access-control-allow-credentials'], undefined)
    t.match((await preflight(origin, '/topics/a/events', 'GET', 'authorization')).headers, {
      'access-control-allow-origin': '*',
    })
  }
})

await t.test('a stream over a real socket has CORS headers too', async (t) => {
  const { app } = await start(t)
  const url = await listen(app)
  const allowed = await openStream(t, `${url}/topics/a/events`, { token: anyTopic(), headers: { origin: ORIGIN } })
  t.match(allowed.headers, {
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-credentials': 'true',
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'fanfare-connection': /./,
    'last-event-id': /./,
  })
  t.strictSame(names(allowed.headers['vary']), ['accept', 'origin'])
  t.ok(names(allowed.headers['access-control-expose-headers']).includes('last-event-id'))
  const refused = await openStream(t, `${url}/topics/a/events`, { token: anyTopic(), headers: { origin: OTHER } })
  t.equal(refused.headers['access-control-allow-origin'], undefined)
  t.match(refused.headers['vary'], /origin/i)
})

await t.test('a busy stream has CORS headers too', async (t) => {
  const { app } = await start(t)
  const url = await listen(app)
  await app.hub.drain(0)
  const headers = await new Promise<http.IncomingHttpHeaders>((resolve, reject) => {
    http
      .get(
        `${url}/topics/a/events`,
        { headers: { origin: ORIGIN, authorization: `Bearer ${anyTopic()}` } },
        (response) => resolve(response.resume().headers),
      )
      .on('error', reject)
  })
  t.match(headers, {
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-credentials': 'true',
    'content-type': 'text/event-stream',
  })
})

await t.test('a refused origin is logged once', async (t) => {
  const logged = async (settings: AppSettings, requests: [origin: string, headers?: Record<string, string>][]) => {
    const lines: { msg: string; origin?: string; setting?: string; level: number }[] = []
    const logger = pino(
      { level: 'info' },
      { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
    )
    const app = await buildApp({ log: 'memory', jwtSecret: SECRET, ...settings }, logger)
    t.teardown(() => app.close())
    for (const [origin, headers] of requests) await app.inject({ url: '/status', headers: { origin, ...headers } })
    return lines.filter(({ setting }) => setting === 'FANFARE_CORS_ORIGINS')
  }
  const [line, ...more] = await logged({ corsOrigins: [ORIGIN] }, [
    [OTHER],
    [OTHER],
    [ORIGIN],
    ['http://localhost'],
    ['http://hub:3000', { host: 'hub:3000' }],
  ])
  t.match(line, { level: 30, origin: OTHER, msg: /FANFARE_CORS_ORIGINS does not list the origin/ })
  t.strictSame(more, [], 'each refused origin once, and no allowed origin')
  t.equal((await logged({}, [[OTHER], [ORIGIN]])).length, 2, 'also if no origin is allowed')
  t.equal((await logged({ corsOrigins: ['*'] }, [[OTHER]])).length, 0)
  const flood = await logged(
    {},
    Array.from({ length: 300 }, (_, n): [string] => [`https://${n}.example`]),
  )
  t.equal(flood.filter(({ origin }) => origin !== undefined).length, 100, 'at most 100 refused origins are logged')
  t.match(flood.slice(100), [{ origins: 100, msg: /further origins.*not logged for an hour/ }])
  t.equal(flood.length, 101, 'one line reports further origins')
  t.equal((await logged({}, [['x'.repeat(5_000)]]))[0]!.origin!.length, 300)
})
