import fastifyCors from '@fastify/cors'
import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import fanfare, { buildApp, HubError, loadSettings, SettingsError, type FanfareOptions } from '../src/index.js'
import { NATIVE_SOCKETS } from './helper/native-sockets.js'
import { openLive, openStream } from './helper/stream.js'
import { anyTopic, SECRET, token } from './helper/token.js'
import { isProblem, listen } from './routes/open-app.js'

const OPTIONS: FanfareOptions = {
  prefix: '/realtime',
  log: 'memory',
  jwtSecret: SECRET,
  nativeSockets: NATIVE_SOCKETS,
}
const authorization = `Bearer ${anyTopic()}`

declare module 'fastify' {
  interface FastifyInstance {
    /** A decorator of the application in this test. */
    theirs: () => string
  }
}

/** An application with its own tokens, errors, 404, CORS, content types, decorators and hooks. */
async function theirApp(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyJwt, { secret: 'their own secret, which is nothing to the hub' })
  await app.register(fastifyCors, { origin: 'https://theirs.example', methods: ['GET'] })
  app.decorate('theirs', () => 'theirs')
  app.decorate('authenticate', async () => undefined)
  app.decorateRequest('principal', null)
  app.decorateReply('eventStream', () => {
    throw new Error('theirs')
  })
  app.addContentTypeParser('application/x-theirs', { parseAs: 'string' }, (_request, body, done) =>
    done(null, { theirs: body }),
  )
  app.setErrorHandler((err: Error, _request, reply) => reply.code(418).send({ theirs: err.message }))
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ theirs: 'not found' }))
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-theirs', 'yes'))
  app.post('/echo', async (request) => ({ body: request.body }))
  app.get('/sign', async () => ({ token: app.jwt.sign({ sub: 'theirs' }) }))
  app.get('/me', async (request) => request.jwtVerify())
  app.get('/fail', async () => {
    throw new Error('their failure')
  })
  app.get('/topics', async () => ({ topics: 'theirs' }))
  app.get('/status', async () => ({ status: 'theirs' }))
  app.post(
    '/checked',
    { schema: { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
    async (request) => ({ body: request.body }),
  )
  return app
}

/** Checks that the application itself has not changed. */
async function isTheirs(t: Test, app: FastifyInstance): Promise<void> {
  t.strictSame(
    (await app.inject({ method: 'POST', url: '/echo', payload: { a: 1 } })).json(),
    { body: { a: 1 } },
    'JSON',
  )
  t.strictSame(
    (
      await app.inject({ method: 'POST', url: '/echo', payload: 'x', headers: { 'content-type': 'text/plain' } })
    ).json(),
    { body: 'x' },
    'plain text',
  )
  t.strictSame(
    (
      await app.inject({
        method: 'POST',
        url: '/echo',
        payload: 'x',
        headers: { 'content-type': 'application/x-theirs' },
      })
    ).json(),
    { body: { theirs: 'x' } },
    "the application's content type",
  )
  t.equal(
    (
      await app.inject({
        method: 'POST',
        url: '/echo',
        payload: 'x',
        headers: { 'content-type': 'application/x-ndjson' },
      })
    ).statusCode,
    418,
    "not the hub's content type",
  )
  t.match(
    await app.inject('/fail'),
    { statusCode: 418, body: '{"theirs":"their failure"}' },
    "the application's error handler",
  )
  t.match(await app.inject('/nothing'), { statusCode: 404, body: '{"theirs":"not found"}' }, "the application's 404")
  t.match(
    (await app.inject({ method: 'POST', url: '/checked', payload: { n: '7' } })).json(),
    { body: { n: 7 } },
    "the application's validation converts",
  )
  t.strictSame((await app.inject('/topics')).json(), { topics: 'theirs' })
  t.strictSame((await app.inject('/status')).json(), { status: 'theirs' })
  const { token: bearer } = (await app.inject('/sign')).json<{ token: string }>()
  t.match(
    (await app.inject({ url: '/me', headers: { authorization: `Bearer ${bearer}` } })).json(),
    { sub: 'theirs' },
    "the application's tokens",
  )
  t.equal(
    (await app.inject({ url: '/me', headers: { authorization } })).statusCode,
    418,
    "the hub's tokens are refused",
  )
  t.match(
    (await app.inject({ url: '/topics', headers: { origin: 'https://theirs.example' } })).headers,
    { 'access-control-allow-origin': 'https://theirs.example', 'x-theirs': 'yes' },
    "the application's CORS",
  )
  t.equal(app.theirs(), 'theirs')
}

await t.test('a hub in a plain application', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, OPTIONS)
  const url = await listen(app)

  const stream = await openStream(t, `${url}/realtime/topics/orders.42/events`, {
    token: token({ subscribe: ['orders.*'] }),
  })
  await stream.told('open')
  t.match(await app.hub.publish('orders.42', { type: 'created', data: { total: 12 } }), {
    topic: 'orders.42',
    duplicate: false,
    subscribers: 1,
  })
  await stream.count(1)
  t.match(stream.events, [{ type: 'created', data: '{"total":12}' }])

  const response = await app.inject({
    method: 'POST',
    url: '/realtime/topics/orders.42/events',
    payload: { data: 2 },
    headers: { authorization },
  })
  t.equal(response.statusCode, 201)
  await stream.count(2)
  t.match(isProblem(t, await app.inject('/realtime/nothing'), 404, 'not-found').type, '/realtime/errors/not-found')
  t.equal(
    (await app.inject('/topics/orders.42/events')).statusCode,
    404,
    "the hub's routes exist only below the prefix",
  )
})

await t.test('a hub in an application with its own plugins', async (t) => {
  const app = await theirApp(t)
  await app.register(fanfare, OPTIONS)
  app.get('/late', async () => ({ late: 'theirs' }))
  app.post('/orders', async () => app.hub.publish('orders.42', { type: 'created', data: { total: 12 } }))
  const url = await listen(app)
  await isTheirs(t, app)
  t.strictSame((await app.inject('/late')).json(), { late: 'theirs' })

  const stream = await openLive(t, `${url}/realtime/topics/orders.*/events?replay=1`, {
    token: anyTopic(),
    headers: { origin: 'https://theirs.example' },
  })
  t.match(
    stream.headers,
    { 'x-theirs': 'yes', 'access-control-allow-origin': 'https://theirs.example' },
    "the application's hooks run for the hub's requests, and their headers are kept",
  )
  t.match((await app.inject({ method: 'POST', url: '/orders' })).json(), { topic: 'orders.42', subscribers: 1 })
  await stream.count(1)
  t.match(stream.events, [{ type: 'created', topic: 'orders.42', data: '{"total":12}' }])

  isProblem(
    t,
    await app.inject({ url: '/realtime/topics/a..b/events', headers: { authorization } }),
    400,
    'invalid-pattern',
    "the hub's errors have its own format",
  )
  isProblem(t, await app.inject({ url: '/realtime/nothing', headers: { authorization } }), 404, 'not-found')
  isProblem(t, await app.inject({ url: '/realtime/topics/a/events' }), 401, 'missing-token')
  const { token: bearer } = (await app.inject('/sign')).json<{ token: string }>()
  isProblem(
    t,
    await app.inject({ url: '/realtime/topics/a/events', headers: { authorization: `Bearer ${bearer}` } }),
    401,
    'invalid-signature',
    "the application's tokens are refused by the hub",
  )
  isProblem(
    t,
    await app.inject({
      method: 'POST',
      url: '/realtime/topics/a/events',
      payload: 'x',
      headers: { authorization, 'content-type': 'application/x-theirs' },
    }),
    415,
    'unsupported-media-type',
  )
  const lines = await app.inject({
    method: 'POST',
    url: '/realtime/events',
    payload: '{"topic":"a","data":1}\n',
    headers: { authorization, 'content-type': 'application/x-ndjson' },
  })
  t.match(lines.json(), { accepted: 1 })

  await app.close()
  t.match(await stream.told('close'), { reason: 'drain' })
})

await t.test('CORS of the hub does not apply to the application', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { ...OPTIONS, corsOrigins: ['https://pages.example'] })
  app.get('/theirs', async () => 'theirs')
  const origin = 'https://pages.example'
  t.equal(
    (await app.inject({ url: '/realtime/status', headers: { origin } })).headers['access-control-allow-origin'],
    origin,
  )
  const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
  t.match(await app.inject({ method: 'OPTIONS', url: '/realtime/topics/a/events', headers: asked }), {
    statusCode: 204,
    headers: { 'access-control-allow-origin': origin, 'access-control-allow-methods': /POST/ },
  })
  t.equal((await app.inject({ url: '/theirs', headers: { origin } })).headers['access-control-allow-origin'], undefined)
  t.equal((await app.inject({ method: 'OPTIONS', url: '/theirs', headers: asked })).statusCode, 404)
})

await t.test(
  'CORS in application and hub is refused with the remedy: hooks of the application answer the preflights',
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close().catch(() => undefined))
    await app.register(fastifyCors, { origin: 'https://theirs.example' })
    await t.rejects(Promise.resolve(app.register(fanfare, { ...OPTIONS, corsOrigins: ['https://pages.example'] })), {
      name: 'SettingsError',
      message: /corsOrigins/,
    })
  },
)

await t.test('the order of registration does not matter', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { ...OPTIONS, corsOrigins: ['https://pages.example'] })
  await app.register(fastifyJwt, { secret: 'their own secret, which is nothing to the hub' })
  await app.register(fastifyCors, { origin: 'https://theirs.example' })
  app.decorateRequest('principal', null)
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ theirs: 'not found' }))
  app.get('/sign', async () => ({ token: app.jwt.sign({ sub: 'theirs' }) }))
  await app.ready()
  t.match((await app.inject('/sign')).json(), { token: /\./ })
  t.match((await app.inject('/nothing')).json(), { theirs: 'not found' })
  t.equal((await app.inject({ url: '/realtime/status' })).statusCode, 200)
})

await t.test('without a prefix the application answers unknown paths', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ theirs: 'not found' }))
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET })
  app.get('/theirs', async () => 'theirs')
  await app.ready()
  t.equal((await app.inject('/theirs')).body, 'theirs')
  t.strictSame((await app.inject('/nothing')).json(), { theirs: 'not found' })
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

await t.test('a plugin that depends on the hub finds it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, OPTIONS)
  await app.register(
    fp(
      async (app) => {
        await app.hub.publish('a', { data: 1 })
      },
      { dependencies: ['fanfare'] },
    ),
  )
  await app.register(async (scope) => {
    await scope.hub.publish('a', { data: 2 })
  })
  await app.ready()
  t.equal(app.hub.stats().events, 2)
})

await t.test('topics of the maximum length work if the router allows them', async (t) => {
  const app = Fastify({ routerOptions: { maxParamLength: 600 } })
  t.teardown(() => app.close())
  await app.register(fanfare, OPTIONS)
  const topic = Array.from({ length: 4 }, () => 'x'.repeat(49)).join('.')
  const response = await app.inject({
    method: 'POST',
    url: `/realtime/topics/${topic}/events`,
    payload: { data: 1 },
    headers: { authorization },
  })
  t.equal(response.statusCode, 201, `${topic.length} characters`)
})

await t.test('invalid options are refused, and undefined counts as missing', async (t) => {
  /** Starts a hub with these options. */
  async function start(options: Record<string, unknown>): Promise<void> {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fanfare, { log: 'memory', ...options } as FanfareOptions)
  }
  await t.rejects(start({ jwtSecret: SECRET, jwtSecert: 'x' }), {
    name: 'SettingsError',
    message: /jwtSecert.*jwtSecret/,
  })
  await t.rejects(start({ jwtSecret: SECRET, heartBeat: 1 }), {
    name: 'SettingsError',
    message: /heartBeat.*heartbeat/,
  })
  await t.rejects(
    start({ jwtSecret: SECRET, port: 3000 }),
    { name: 'SettingsError', message: /port/ },
    'a setting of the process',
  )
  await t.rejects(start({}), { name: 'SettingsError', message: /jwtSecret/ }, 'no key')
  await t.rejects(start({ jwtSecret: SECRET, jwtPublicKey: 'x' }), { name: 'SettingsError' }, 'two keys')
  await t.resolves(
    start({ jwtSecret: SECRET, jwtPublicKey: undefined, heartbeat: undefined }),
    'undefined counts as missing',
  )
})

/** Returns the names of the members of an application, of a scope with routes, and of its requests and replies. */
async function membersOf(t: Test, plugin: FastifyPluginAsync): Promise<Map<string, Set<string>>> {
  const app = Fastify()
  t.teardown(() => app.close())
  const members = new Map<string, Set<string>>()
  const collect = (name: string, value: object) => members.set(name, namesOf(value))
  app.addHook('onSend', async (request, reply) => {
    collect('request', request)
    collect('reply', reply)
    collect('scope', request.server)
  })
  await app.register(plugin)
  t.equal((await app.inject('/realtime/status')).statusCode, 200)
  return collect('app', app)
}

/** Returns the names of all properties, without symbols. */
function namesOf(value: object): Set<string> {
  const names = new Set<string>()
  for (let each: object = value; each !== Object.prototype; each = Object.getPrototypeOf(each) as object)
    for (const name of Object.getOwnPropertyNames(each)) names.add(name)
  return names
}

await t.test('an application gets one decorator with a name: app.hub', async (t) => {
  const bare = await membersOf(t, async (app) => {
    await app.register(async (scope) => scope.get('/realtime/status', () => 'ok'))
  })
  const embedding = await membersOf(
    t,
    fp(async (app) => app.register(fanfare, OPTIONS)),
  )
  const added = (name: string) => [...embedding.get(name)!].filter((member) => !bare.get(name)!.has(member)).sort()
  t.strictSame(added('app'), ['hub'])
  // @fastify/jwt adds the other members
  t.strictSame(added('scope'), ['hub', 'jwt'])
  t.strictSame(added('request'), ['fanfareJwtDecode', 'fanfareJwtVerify'])
  t.strictSame(added('reply'), ['fanfareJwtSign'])
})

await t.test('the exports of the package', (t) => {
  t.equal(typeof fanfare, 'function')
  t.equal(typeof buildApp, 'function')
  t.equal(typeof loadSettings, 'function')
  t.ok(new HubError('invalid-topic', 'x') instanceof Error)
  t.ok(new SettingsError('x') instanceof Error)
  t.end()
})
