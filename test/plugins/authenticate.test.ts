/** The option `authenticate`: the application's own login instead of a token. */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type Authenticate, type AuthenticatedPrincipal, type FanfareOptions } from '../../src/index.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { openLive, openStream } from '../helper/stream.js'
import { SECRET, token } from '../helper/token.js'
import { isProblem, listen } from '../routes/open-app.js'

const USERS: Record<string, AuthenticatedPrincipal> = {
  ann: {
    subject: 'ann',
    subscribe: ['users.{sub}.*', 'chat'],
    publish: ['chat'],
    presence: ['chat'],
    info: { name: 'Ann' },
  },
}

/** Identifies a user by the cookie `login`, or by the header `x-api-key`. */
const byLogin: Authenticate = ({ headers }) =>
  USERS[/login=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? String(headers['x-api-key'])]

async function openApp(
  t: Test,
  authenticate: unknown,
  options: FanfareOptions = {},
): Promise<{ app: FastifyInstance; lines: Record<string, unknown>[] }> {
  const lines: Record<string, unknown>[] = []
  const app = Fastify({
    logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) } },
  })
  t.teardown(() => app.close())
  await app.register(fanfare, {
    prefix: '/rt',
    log: 'memory',
    jwtSecret: SECRET,
    nativeSockets: NATIVE_SOCKETS,
    authenticate: authenticate as Authenticate,
    ...options,
  })
  return { app, lines }
}

const cookie = 'login=ann'
const CHAT = '/rt/topics/chat/events'
const page = { accept: 'application/json' }

await t.test('a principal of the application has its grants and is present', async (t) => {
  const { app } = await openApp(t, async (...args: Parameters<Authenticate>) => byLogin(...args))
  const url = await listen(app)
  const stream = await openLive(t, `${url}${CHAT}`, { headers: { cookie } })
  const sent = await app.inject({ method: 'POST', url: CHAT, payload: { data: 1 }, headers: { 'x-api-key': 'ann' } })
  t.equal(sent.statusCode, 201)
  await stream.count(1)
  t.match(await app.hub.present('chat'), [{ subject: 'ann', info: { name: 'Ann' } }])
  t.equal((await app.inject({ url: '/rt/topics/users.ann.mail/events', headers: { cookie, ...page } })).statusCode, 200)
  const refusal = isProblem(
    t,
    await app.inject({ url: '/rt/topics/users.bob.mail/events', headers: { cookie, ...page } }),
    403,
    'not-granted',
  )
  t.match(refusal.detail, /the application's own login identified the request/)
})

await t.test(
  'requests that change state need an allowed origin if they have a cookie or come from a page',
  async (t) => {
    const { app } = await openApp(t, byLogin, { corsOrigins: ['https://app.example'] })
    const publish = (headers: Record<string, string>) =>
      app.inject({ method: 'POST', url: CHAT, payload: { data: 1 }, headers: { host: 'hub.example', ...headers } })
    isProblem(t, await publish({ cookie }), 403, 'foreign-origin', 'a cookie without an origin')
    isProblem(t, await publish({ cookie, origin: 'https://evil.example' }), 403, 'foreign-origin')
    isProblem(
      t,
      await publish({ 'x-api-key': 'ann', origin: 'https://evil.example' }),
      403,
      'foreign-origin',
      'also for other credentials than a cookie',
    )
    for (const origin of ['http://hub.example', 'https://app.example'])
      t.equal((await publish({ cookie, origin })).statusCode, 201, origin)
    t.equal(
      (await publish({ 'x-api-key': 'ann' })).statusCode,
      201,
      'a request without Origin and cookie is not from a page',
    )
    const cursor = `${CHAT}?cursor=inbox`
    isProblem(
      t,
      await app.inject({
        url: cursor,
        headers: { host: 'hub.example', cookie, accept: 'text/event-stream', 'sec-fetch-site': 'cross-site' },
      }),
      403,
      'foreign-origin',
      'a stream that moves a named cursor',
    )
  },
)

await t.test('a token takes precedence over the login, and an invalid token stays refused', async (t) => {
  let asked = 0
  const { app } = await openApp(t, (...args: Parameters<Authenticate>) => {
    asked++
    return byLogin(...args)
  })
  const bearer = { authorization: `Bearer ${token({ sub: 'bob', subscribe: ['news'] })}` }
  t.equal(
    (await app.inject({ url: '/rt/topics/news/events', headers: { cookie, ...bearer, ...page } })).statusCode,
    200,
  )
  isProblem(t, await app.inject({ url: CHAT, headers: { cookie, ...bearer, ...page } }), 403, 'not-granted')
  isProblem(
    t,
    await app.inject({ url: CHAT, headers: { cookie, authorization: 'Bearer no', ...page } }),
    401,
    'malformed-token',
  )
  t.equal(asked, 0)
  t.equal(
    (await app.inject({ url: CHAT, headers: { cookie, authorization: 'Basic YTpi', ...page } })).statusCode,
    200,
    'another scheme is not a token',
  )
})

await t.test('a request that the application does not identify is anonymous', async (t) => {
  const { app } = await openApp(t, byLogin, { anonymousSubscribe: ['news'] })
  t.equal((await app.inject({ url: '/rt/topics/news/events', headers: page })).statusCode, 200)
  t.match(
    isProblem(t, await app.inject({ url: CHAT, headers: page }), 401, 'missing-token').detail,
    /The application's own login did not identify the request either/,
  )
  t.equal(
    (await app.inject({ url: '/rt/topics/news/events', headers: { cookie, ...page } })).statusCode,
    200,
    'a known user may read the same topic',
  )
})

await t.test('an invalid principal is a 500, and the log has the reason', async (t) => {
  const answers: [answer: unknown, why: RegExp][] = [
    [null, /must be an object/],
    ['ann', /must be an object/],
    [{ sub: 'ann' }, /no member "sub"/],
    [{ subject: '' }, /sub/],
    [{ subscribe: 'chat' }, /principal\.subscribe/],
    [{ publish: ['a..b'] }, /"a\.\.b"/],
    [{ expiresAt: 'tomorrow' }, /expiresAt/],
    [{ expiresAt: new Date(NaN) }, /expiresAt/],
  ]
  for (const [answer, why] of answers) {
    const { app, lines } = await openApp(t, () => answer)
    isProblem(t, await app.inject({ url: CHAT, headers: page }), 500, 'internal-error', String(why))
    const line = lines.find(({ msg }) => msg === 'request failed')
    t.match(JSON.stringify(line?.['err']), /authenticate/)
    t.match(JSON.stringify(line?.['err']), new RegExp(why.source.replaceAll('"', '\\\\"')))
  }
})

await t.test('an error of authenticate is answered like an error of a hook', async (t) => {
  const thrown: [err: Error, status: number, code: string][] = [
    [new Error('the database'), 500, 'internal-error'],
    [Object.assign(new Error('not you'), { statusCode: 403 }), 403, 'not-granted'],
  ]
  for (const [err, status, code] of thrown) {
    const { app } = await openApp(t, () => Promise.reject(err))
    isProblem(t, await app.inject({ url: CHAT, headers: page }), status, code)
  }
})

await t.test('a stream ends when the login does', async (t) => {
  const { app } = await openApp(t, ({ headers }: Parameters<Authenticate>[0]) => ({
    subscribe: ['chat'],
    expiresAt: headers['x-over'] ? new Date(0) : Date.now() + 700,
  }))
  const url = await listen(app)
  const stream = await openStream(t, `${url}${CHAT}`)
  await stream.closed
  t.match(stream.all.at(-1), { type: 'fanfare.close', data: '{"reason":"expired"}' })
  isProblem(t, await app.inject({ url: CHAT, headers: { ...page, 'x-over': 'yes' } }), 401, 'expired-token')
})

await t.test('a login can get a ticket', async (t) => {
  const { app } = await openApp(t, byLogin)
  const url = await listen(app)
  const made = await app.inject({
    method: 'POST',
    url: '/rt/tickets',
    headers: { host: new URL(url).host, cookie, origin: url },
  })
  t.equal(made.statusCode, 201)
  await openLive(t, `${url}${CHAT}?ticket=${made.json<{ ticket: string }>().ticket}`)
  t.match(await app.hub.present('chat'), [{ subject: 'ann' }])
})

await t.test('options other than a function are refused', async (t) => {
  for (const authenticate of [true, 'login', {}]) {
    const app = Fastify()
    t.teardown(() => app.close().catch(() => undefined))
    await t.rejects(
      Promise.resolve(
        app.register(fanfare, {
          log: 'memory',
          jwtSecret: SECRET,
          authenticate: authenticate as unknown as Authenticate,
        }),
      ),
      { name: 'SettingsError', message: /authenticate.*function/ },
    )
  }
})
