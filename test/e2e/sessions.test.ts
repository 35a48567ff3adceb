/** Sessions (a token in a cookie) over real sockets. test/browser/event-source.test.ts tests them in a browser. */
import { parseSetCookie, type SetCookie } from 'cookie'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { publish, send, type Answer, type Sending } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const ORIGIN = 'https://app.example.com'
const PAGE = { accept: 'application/json' }
const grants = { sub: 'ann', subscribe: ['a', 'b'], publish: ['a', 'b'] }
const ann = token(grants)
const publisher = token({ publish: ['**'] })

/** Returns the cookie that an answer sets. */
function cookieOf(t: Test, { headers }: Answer): SetCookie {
  const [header, ...more] = headers.getSetCookie()
  t.strictSame(more, [])
  return parseSetCookie(header ?? '')
}

async function login(
  t: Test,
  { url }: Pick<Hub, 'url'>,
  bearer: string,
  headers: Record<string, string> = {},
): Promise<SetCookie> {
  const answer = await send({ url }, 'POST', '/sessions', { token: bearer, headers })
  t.match(answer, { status: 204, body: '' })
  return cookieOf(t, answer)
}

const hub = await startHub(t)
const listed = await startHub(t, {
  FANFARE_CORS_ORIGINS: `${ORIGIN}, http://localhost:8080`,
  FANFARE_QUERY_TOKEN: 'true',
})
const anywhere = await startHub(t, { FANFARE_CORS_ORIGINS: '*', FANFARE_TRUST_PROXY: '1' })

await t.test('POST /sessions answers 204 and stores the token in a cookie that scripts cannot read', async (t) => {
  t.strictSame(
    { ...(await login(t, hub, ann)) },
    { name: 'fanfare_token', value: ann, path: '/', httpOnly: true, sameSite: 'lax' },
    'until the browser closes, since the token has no expiry',
  )
})

await t.test(
  'the cookie is Secure over TLS, and SameSite=None and partitioned if pages of other origins are allowed',
  async (t) => {
    const tls = { 'x-forwarded-proto': 'https' }
    const [own, proxied, elsewhere] = await Promise.all([
      startHub(t, { FANFARE_TRUST_PROXY: 'true' }),
      startHub(t, { FANFARE_TRUST_PROXY: '127.0.0.1', FANFARE_CORS_ORIGINS: ORIGIN }),
      startHub(t, { FANFARE_TRUST_PROXY: '10.0.0.0/8', FANFARE_CORS_ORIGINS: ORIGIN }),
    ])
    const table: [what: string, hub: Hub, headers: Record<string, string>, expected: Partial<SetCookie>][] = [
      ['no other origins', own, tls, { secure: true, sameSite: 'lax' }],
      ['other origins', proxied, tls, { secure: true, sameSite: 'none', partitioned: true }],
      ['every origin', anywhere, tls, { secure: true, sameSite: 'lax' }],
      ['no TLS', proxied, {}, { sameSite: 'lax' }],
      ['from an untrusted proxy', elsewhere, tls, { sameSite: 'lax' }],
      ['without a trusted proxy', listed, tls, { sameSite: 'lax' }],
    ]
    for (const [what, hub, headers, expected] of table) {
      t.strictSame(
        { ...(await login(t, hub, ann, headers)) },
        { name: 'fanfare_token', value: ann, path: '/', httpOnly: true, ...expected },
        what,
      )
    }
  },
)

await t.test('a session ends with its token: in the browser, for new requests, and for open streams', async (t) => {
  const exp = Math.floor(Date.now() / 1_000) + 2
  const session = token({ ...grants, exp })
  const { maxAge, expires } = await login(t, hub, session)
  t.ok(maxAge !== undefined && maxAge >= 0 && maxAge <= 2, `${maxAge ?? 'no'} s`)
  t.ok(expires !== undefined && Math.abs(expires.getTime() / 1_000 - exp) <= 1)
  const stream = await openLive(t, streamUrl(hub, ['a']), { headers: { cookie: `fanfare_token=${session}` } })
  const closed = performance.timeOrigin + (await stream.closed)
  t.match(await stream.told('close'), { reason: 'expired' })
  t.ok(
    closed >= exp * 1_000 - 50 && closed < exp * 1_000 + 1_250,
    `${Math.round(closed - exp * 1_000)} ms after the expiry`,
  )
  t.equal(
    checkProblem(t, await send(hub, 'GET', '/topics/a/events', { session, headers: PAGE }), 401, 'after the expiry')
      .code,
    'expired-token',
  )
  t.equal(
    (await send(hub, 'POST', '/sessions', { token: session })).headers.getSetCookie().length,
    0,
    'an expired token cannot start a session',
  )
})

await t.test('a session authorises GET with the grants of its token, without an allowed origin', async (t) => {
  const headers = { cookie: `theme=dark; fanfare_token=${ann}` }
  const streams = await Promise.all([
    openLive(t, streamUrl(hub, ['a']), { headers }),
    openLive(t, streamUrl(hub, ['a', 'b']), { headers: { ...headers, origin: 'https://evil.example' } }),
  ])
  const { id } = await publish(hub, 'a', { data: 1 }, publisher)
  for (const stream of streams) await stream.until(() => stream.lastId === id)
  t.match(await send(hub, 'GET', '/topics/a/events?last=1', { session: ann, headers: PAGE }), {
    status: 200,
    body: { events: [{ id }] },
  })
  t.match(
    await send(hub, 'GET', `/connections/${String(streams[0].headers['fanfare-connection'])}`, { session: ann }),
    { status: 200, body: { subject: 'ann' } },
  )
  t.match(
    checkProblem(
      t,
      await send(hub, 'GET', '/topics/c/events', { session: ann, headers: { accept: 'text/event-stream' } }),
      403,
      'a topic that is not granted',
    ).detail,
    /"c".*the cookie "fanfare_token"/,
  )
  t.equal(
    checkProblem(t, await send(hub, 'GET', '/topics/a/events', { session: '', headers: PAGE }), 401, 'an empty cookie')
      .code,
    'missing-token',
  )
})

await t.test('a request that changes state needs an allowed Origin', async (t) => {
  const session = token({ sub: 'ann', subscribe: ['**'], publish: ['**'], admin: true })
  const open = async () =>
    `/connections/${String((await openLive(t, streamUrl(listed, ['a']), { token: session })).headers['fanfare-connection'])}`
  const own = await open()
  const {
    body: { id },
  } = await send<{ id: string }>(listed, 'POST', '/revocations', {
    token: session,
    body: { subject: 'eve', until: '2999-01-01T00:00:00Z' },
  })
  const table: [method: string, path: string, allowed: number, sending?: Sending][] = [
    ['POST', '/topics/a/events', 201, { body: { data: 1 } }],
    ['POST', '/topics/a/events', 201, { body: 'text', headers: { 'content-type': 'text/plain' } }],
    ['POST', '/events', 201, { body: { events: [{ topic: 'a', data: 1 }] } }],
    ['POST', '/events', 200, { body: { topic: 'a', data: 1 }, headers: { 'content-type': 'application/x-ndjson' } }],
    ['DELETE', '/topics/a/events', 200],
    ['PATCH', own, 200, { body: { subscribe: ['b'] } }],
    ['PUT', `${own}/token`, 400],
    ['POST', '/tickets', 201],
    ['POST', '/revocations', 201, { body: { subject: 'eve', until: '2999-01-01T00:00:00Z' } }],
    ['DELETE', `/revocations/${id}`, 204],
    ['DELETE', own, 204],
    ['DELETE', '/connections?subject=eve', 200],
  ]
  for (const [method, path, allowed, sending] of table) {
    for (const origin of [undefined, 'https://evil.example', `${ORIGIN}:8443`, 'http://localhost', 'null', '*']) {
      const { code, detail } = checkProblem(
        t,
        await send(listed, method, path, { ...sending, session, origin }),
        403,
        `${method} ${path} from ${origin ?? 'nowhere'}`,
      )
      t.equal(code, 'foreign-origin')
      t.match(detail, /FANFARE_CORS_ORIGINS/)
    }
    t.equal(
      (await send(listed, method, path, { ...sending, session, origin: ORIGIN })).status,
      allowed,
      `${method} ${path} from an origin on the list`,
    )
  }
  for (const origin of ['http://localhost:8080', listed.url])
    t.equal(
      (await send(listed, 'POST', '/tickets', { session, origin })).status,
      201,
      `${origin}: the second listed origin, and the hub's own`,
    )
  t.equal(
    (await send(listed, 'POST', '/tickets', { token: session, session, origin: 'https://evil.example' })).status,
    201,
    'with a token in the header every origin is allowed',
  )
})

await t.test('"*" is not an allowed origin', async (t) => {
  for (const origin of [ORIGIN, '*'])
    t.equal(
      checkProblem(
        t,
        await send(anywhere, 'POST', '/topics/a/events', { session: ann, origin, body: { data: 1 } }),
        403,
        origin,
      ).code,
      'foreign-origin',
    )
  t.equal(
    (await send(anywhere, 'GET', '/topics/a/events', { session: ann, origin: ORIGIN, headers: PAGE })).headers.get(
      'access-control-allow-credentials',
    ),
    null,
    'no page can read the answer to a cookie',
  )
})

await t.test('DELETE /sessions clears the cookie, even with an invalid token', async (t) => {
  for (const session of [ann, token({ ...grants, exp: 1 }), 'x']) {
    const answer = await send(listed, 'DELETE', '/sessions', { session, origin: ORIGIN })
    t.match(answer, { status: 204, body: '' })
    t.match(cookieOf(t, answer), {
      name: 'fanfare_token',
      value: '',
      path: '/',
      maxAge: 0,
      httpOnly: true,
      sameSite: 'lax',
    })
  }
  for (const origin of [undefined, 'https://evil.example']) {
    const answer = await send(listed, 'DELETE', '/sessions', { session: ann, origin })
    t.equal(checkProblem(t, answer, 403, origin ?? 'nowhere').code, 'foreign-origin')
    t.strictSame(answer.headers.getSetCookie(), [])
  }
  t.equal((await send(listed, 'DELETE', '/sessions')).status, 204, 'without a cookie')
})

await t.test('only a token in the header starts a session', async (t) => {
  const { ticket } = (await send<{ ticket: string }>(listed, 'POST', '/tickets', { token: ann })).body
  const table: [sending: Sending, query: string, code: string][] = [
    [{}, '', 'missing-token'],
    [{ session: ann, origin: ORIGIN }, '', 'missing-token'],
    [{}, `?token=${ann}`, 'missing-token'],
    [{}, `?ticket=${ticket}`, 'invalid-ticket'],
    [{ token: ticket }, '', 'invalid-ticket'],
    [{ token: 'x' }, '', 'malformed-token'],
  ]
  for (const [sending, query, code] of table) {
    const answer = await send(listed, 'POST', `/sessions${query}`, sending)
    t.equal(checkProblem(t, answer, 401, code).code, code)
    t.strictSame(answer.headers.getSetCookie(), [])
  }
  const large = await send(listed, 'POST', '/sessions', { token: token({ ...grants, info: 'x'.repeat(4_000) }) })
  t.match(checkProblem(t, large, 400, 'larger than a cookie in browsers').detail, /too large for a cookie/)
})

await t.test('a session works with a token that has just become valid', async (t) => {
  const session = token({ ...grants, nbf: Math.floor(Date.now() / 1_000) + 2 })
  const get = () => send(hub, 'GET', '/topics/a/events', { session, headers: PAGE })
  t.equal(checkProblem(t, await get(), 401, 'before the token is valid').code, 'inactive-token')
  await poll(
    async () => ((await get()).status === 200 ? true : undefined),
    () => 'the refusal stays',
  )
})
