import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { parseSetCookie, type SetCookie } from 'cookie'
import { fanfare, type AppSettings } from '../../src/app.js'
import { hubOf } from '../../src/plugins/hub.js'
import { openStream } from '../helper/stream.js'
import { SECRET, token } from '../helper/token.js'
import { isProblem, listen, openApp, type OpenApp } from './open-app.js'

const ORIGIN = 'https://app.example.com'
const grants = { sub: 'u1', subscribe: ['a'], publish: ['a'] }

function login({ send }: OpenApp, bearer: string, headers: Record<string, string> = {}) {
  return send({ method: 'POST', url: '/sessions', headers: { authorization: `Bearer ${bearer}`, ...headers } })
}

async function cookieOf(
  t: Test,
  hub: OpenApp,
  bearer: string,
  headers: Record<string, string> = {},
): Promise<SetCookie> {
  const response = await login(hub, bearer, headers)
  t.equal(response.statusCode, 204)
  t.equal(response.body, '')
  return parseSetCookie(String(response.headers['set-cookie']))
}

/** Sends a request with the token as a cookie and in no other way. */
function withCookie(
  { send }: OpenApp,
  method: 'GET' | 'HEAD' | 'POST' | 'DELETE',
  url: string,
  bearer = token(grants),
  headers: Record<string, string> = {},
) {
  return send({
    method,
    url,
    ...(method === 'POST' ? { payload: { data: 1 } } : {}),
    headers: {
      authorization: null,
      accept: 'application/json',
      cookie: `theme=dark; fanfare_token=${bearer}`,
      ...headers,
    },
  })
}

await t.test('a session is the token in a cookie that scripts cannot read', async (t) => {
  const hub = await openApp(t)
  const bearer = token(grants)
  t.strictSame(
    { ...(await cookieOf(t, hub, bearer)) },
    { name: 'fanfare_token', value: bearer, path: '/', httpOnly: true, sameSite: 'lax' },
    'without an expiry, the cookie ends with the browser',
  )
})

await t.test('the cookie ends with the token', async (t) => {
  const hub = await openApp(t)
  const exp = Math.floor(Date.now() / 1_000) + 100
  const { maxAge, expires } = await cookieOf(t, hub, token({ ...grants, exp }))
  t.ok(maxAge! > 90 && maxAge! <= 100)
  t.ok(Math.abs(expires!.getTime() / 1_000 - exp) <= 1 && expires!.getTime() / 1_000 <= exp)
  t.equal((await cookieOf(t, hub, token({ ...grants, exp: 1e300 }))).maxAge, 400 * 86_400, 'at most 400 days ahead')
})

await t.test('TLS', async (t) => {
  const tls = { 'x-forwarded-proto': 'https' }
  const table: [settings: AppSettings, headers: Record<string, string>, expected: object][] = [
    [{ trustProxy: true }, tls, { secure: true, sameSite: 'lax', partitioned: undefined }],
    [{ trustProxy: true, corsOrigins: [ORIGIN] }, tls, { secure: true, sameSite: 'none', partitioned: true }],
    [{ trustProxy: true, corsOrigins: ['*'] }, tls, { secure: true, sameSite: 'lax', partitioned: undefined }],
    [{ trustProxy: true, corsOrigins: [ORIGIN] }, {}, { secure: undefined, sameSite: 'lax' }],
    [{ corsOrigins: [ORIGIN] }, tls, { secure: undefined, sameSite: 'lax' }],
  ]
  for (const [settings, headers, expected] of table)
    t.match(
      await cookieOf(t, await openApp(t, settings), token(grants), headers),
      expected,
      JSON.stringify([settings, headers]),
    )
})

await t.test('below the prefix of another application', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/realtime', jwtSecret: SECRET, log: 'memory' })
  const { statusCode, headers } = await app.inject({
    method: 'POST',
    url: '/realtime/sessions',
    headers: { authorization: `Bearer ${token(grants)}` },
  })
  t.equal(statusCode, 204)
  t.equal(parseSetCookie(String(headers['set-cookie'])).path, '/realtime')
})

await t.test('requests that cannot start a session are refused', async (t) => {
  const hub = await openApp(t, { queryToken: true, corsOrigins: [ORIGIN] })
  const none = async (headers: Record<string, string | null>, url = '/sessions') => {
    const response = await hub.send({ method: 'POST', url, headers: { authorization: null, ...headers } })
    t.equal(response.headers['set-cookie'], undefined)
    return response
  }
  isProblem(t, await none({}), 401, 'missing-token', 'no token')
  isProblem(
    t,
    await none({ cookie: `fanfare_token=${token(grants)}`, origin: ORIGIN }),
    401,
    'missing-token',
    'a cookie',
  )
  isProblem(t, await none({}, `/sessions?token=${token(grants)}`), 401, 'missing-token', 'a token in the query')
  isProblem(t, await none({ authorization: `Bearer ${token({ exp: 1 })}` }), 401, 'expired-token')
  t.equal((await login(hub, token({ info: 'x'.repeat(2_000) }))).statusCode, 204)
  const { detail } = isProblem(
    t,
    await login(hub, token({ info: 'x'.repeat(3_000) })),
    400,
    'invalid-request',
    'a token that is larger than a cookie',
  )
  t.match(detail, /too large for a cookie/)
})

await t.test('a session authorises reading', async (t) => {
  const hub = await openApp(t)
  t.equal((await withCookie(hub, 'GET', '/topics/a/events')).statusCode, 200)
  t.equal((await withCookie(hub, 'HEAD', '/topics/a/events')).statusCode, 200)
  const { detail } = isProblem(t, await withCookie(hub, 'GET', '/topics/b/events'), 403, 'not-granted')
  t.match(detail, /the cookie "fanfare_token"/)
  isProblem(t, await withCookie(hub, 'GET', '/topics/a/events', token({ ...grants, exp: 1 })), 401, 'expired-token')
  isProblem(
    t,
    await withCookie(hub, 'GET', '/topics/a/events', ''),
    401,
    'missing-token',
    'an empty cookie counts as missing',
  )
  const stream = await openStream(t, `${await listen(hub.app)}/topics/a/events`, {
    headers: { cookie: `fanfare_token=${token(grants)}` },
  })
  t.equal(stream.status, 200)
})

await t.test('a token in the header takes precedence', async (t) => {
  const hub = await openApp(t)
  t.equal(
    (
      await hub.send({
        method: 'GET',
        url: '/topics/b/events',
        headers: { accept: 'application/json', cookie: `fanfare_token=${token(grants)}` },
      })
    ).statusCode,
    200,
  )
  t.equal(
    (
      await hub.send({
        method: 'POST',
        url: '/topics/b/events',
        payload: { data: 1 },
        headers: { origin: 'https://evil.example', cookie: `fanfare_token=${token(grants)}` },
      })
    ).statusCode,
    201,
    'a page cannot send that header without permission',
  )
})

await t.test('a session cannot change state for a page of another origin', async (t) => {
  const publish = (hub: OpenApp, headers: Record<string, string>) =>
    withCookie(hub, 'POST', '/topics/a/events', token(grants), headers)
  const hub = await openApp(t, { corsOrigins: [ORIGIN] })
  for (const headers of [
    { origin: ORIGIN },
    { origin: 'http://localhost' },
    { origin: 'http://hub.example.com:8080', host: 'hub.example.com:8080' },
    { origin: 'http://hub.example.com', host: 'hub.example.com:80' },
  ]) {
    t.equal((await publish(hub, headers)).statusCode, 201, JSON.stringify(headers))
  }
  for (const origin of [
    'https://evil.example',
    `${ORIGIN}.evil.example`,
    `${ORIGIN}:8443`,
    `${ORIGIN}/`,
    'http://app.example.com',
    'https://localhost',
    'http://localhost:81',
    'null',
    '*',
    '',
  ]) {
    const { detail } = isProblem(t, await publish(hub, { origin }), 403, 'foreign-origin', origin)
    t.match(detail, /FANFARE_CORS_ORIGINS/)
  }
  isProblem(t, await publish(hub, {}), 403, 'foreign-origin', 'none')
  isProblem(
    t,
    await publish(hub, { referer: `${ORIGIN}/page` }),
    403,
    'foreign-origin',
    'a Referer does not count as an origin',
  )
  const anywhere = await openApp(t, { corsOrigins: ['*'] })
  isProblem(t, await publish(anywhere, { origin: ORIGIN }), 403, 'foreign-origin', '* is not an allowed origin')
  isProblem(t, await publish(anywhere, { origin: '*' }), 403, 'foreign-origin', 'an Origin of * is not allowed')
  const proxied = await openApp(t, { trustProxy: true })
  t.equal(
    (
      await publish(proxied, {
        origin: 'https://hub.example.com',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'hub.example.com',
      })
    ).statusCode,
    201,
    'behind a proxy',
  )
})

await t.test('a session cannot create or move a named cursor for a page of another origin', async (t) => {
  const hub = await openApp(t, { corsOrigins: [ORIGIN] })
  for (let n = 0; n < 3; n++) await hubOf(hub.app).publish('a', { data: n })
  const { epoch, cursors } = hubOf(hub.app)
  const subject = grants.sub
  const read = (name: string, headers: Record<string, string>, method: 'GET' | 'HEAD' = 'GET') =>
    withCookie(hub, method, `/topics/a/events?cursor=${name}&lastEventId=${epoch}-3`, token(grants), {
      accept: 'text/event-stream',
      ...headers,
    })
  await cursors.acknowledge({ subject, name: 'box' }, 1)
  const foreign: Record<string, string>[] = [
    {},
    { origin: 'https://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of foreign) {
    for (const name of ['box', 'other']) {
      const { detail } = isProblem(
        t,
        await read(name, headers),
        403,
        'foreign-origin',
        `${name} ${JSON.stringify(headers)}`,
      )
      t.match(detail, headers['origin'] === undefined ? /"Sec-Fetch-Site: same-origin"/ : /FANFARE_CORS_ORIGINS/)
    }
    t.equal((await read('box', headers, 'HEAD')).statusCode, 403)
  }
  t.strictSame(
    (await cursors.list(subject)).map(({ name, id }) => [name, id]),
    [['box', `${epoch}-1`]],
  )

  const url = await listen(hub.app)
  const own: Record<string, string>[] = [{ origin: ORIGIN }, { origin: url }, { 'sec-fetch-site': 'same-origin' }]
  for (const [n, headers] of own.entries()) {
    const stream = await openStream(t, `${url}/topics/a/events?cursor=c${n}&lastEventId=${epoch}-3`, {
      headers: { cookie: `fanfare_token=${token(grants)}`, ...headers },
    })
    await stream.told('open')
    t.equal((await cursors.get({ subject, name: `c${n}` }))?.id, `${epoch}-3`, JSON.stringify(headers))
  }
  await (await openStream(t, `${url}/topics/a/events?cursor=header`, { token: token(grants) })).told('open')
  t.ok(cursors.get({ subject, name: 'header' }), 'a token in the header is accepted from any origin')
})

await t.test('a session can be ended', async (t) => {
  const hub = await openApp(t, { corsOrigins: [ORIGIN] })
  for (const bearer of [token(grants), token({ exp: 1 }), 'x']) {
    const response = await withCookie(hub, 'DELETE', '/sessions', bearer, { origin: ORIGIN })
    t.equal(response.statusCode, 204, 'even if the token is no longer valid')
    t.match(parseSetCookie(String(response.headers['set-cookie'])), {
      name: 'fanfare_token',
      value: '',
      path: '/',
      maxAge: 0,
      httpOnly: true,
      sameSite: 'lax',
    })
  }
  for (const headers of [{}, { origin: 'https://evil.example' }] as Record<string, string>[]) {
    const response = await withCookie(hub, 'DELETE', '/sessions', token(grants), headers)
    isProblem(t, response, 403, 'foreign-origin')
    t.equal(response.headers['set-cookie'], undefined)
  }
  const none = await hub.send({ method: 'DELETE', url: '/sessions', headers: { authorization: null } })
  t.strictSame([none.statusCode, none.headers['set-cookie']], [204, undefined], 'without a cookie')
})
