/** A hub in an application with its own configuration: neither changes the answers of the other. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import fastifyHelmet from '@fastify/helmet'
import fastifyJwt from '@fastify/jwt'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifyStatic from '@fastify/static'
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { buildApp, SettingsError, type FanfareOptions } from '../src/index.js'
import { within } from './helper/deadline.js'
import { NATIVE_SOCKETS } from './helper/native-sockets.js'
import { MemoryLog } from '../src/log/index.js'
import { openLive } from './helper/stream.js'
import { anyTopic, SECRET } from './helper/token.js'
import { isProblem, listen } from './routes/open-app.js'

const HUB: FanfareOptions = { log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS }
const authorization = `Bearer ${anyTopic()}`

/** Checks the answers of a hub below `at`: receipts, pages, refusals of every kind, HEAD, and a stream on a socket. */
async function isItself(t: Test, app: FastifyInstance, at: string): Promise<void> {
  const url = await listen(app)
  const status = await app.inject(`${at}/status`)
  t.match(
    [status.statusCode, status.headers['content-type'], status.json()],
    [200, 'application/json; charset=utf-8', { status: 'ok', clients: 0 }],
  )
  t.equal((await app.inject({ method: 'HEAD', url: `${at}/status` })).statusCode, 200)

  const head = await app.inject({ method: 'HEAD', url: `${at}/topics/Orders.42/events`, headers: { authorization } })
  t.match([head.statusCode, head.headers['content-type']], [200, /^text\/event-stream/], 'a stream answers HEAD')
  const stream = await openLive(t, `${url}${at}/topics/Orders.42/events`, { token: anyTopic() })
  const receipt = await app.inject({
    method: 'POST',
    url: `${at}/topics/Orders.42/events`,
    payload: { type: 'created', data: { total: 12 } },
    headers: { authorization },
  })
  t.equal(receipt.statusCode, 201)
  t.strictSame(Object.keys(receipt.json<object>()), ['id', 'topic', 'duplicate', 'subscribers'])
  await stream.count(1)
  t.match(stream.events, [{ type: 'created', data: '{"total":12}' }])
  t.strictSame(
    stream.all.map(({ type }) => type),
    ['fanfare.open', 'created'],
  )

  const batch = await app.inject({
    method: 'POST',
    url: `${at}/events`,
    payload: { events: [{ topic: 'a', data: 1 }] },
    headers: { authorization },
  })
  t.strictSame(Object.keys(batch.json<{ events: [object] }>().events[0]), ['id', 'topic', 'duplicate'])
  const page = await app.inject({
    url: `${at}/topics/Orders.42/events?last=1`,
    headers: { authorization, accept: 'application/json' },
  })
  t.match(page.json(), { events: [{ topic: 'Orders.42', data: { total: 12 } }], more: false, gap: null })
  t.match(
    (
      await app.inject({ url: `${at}/events?topic=a&topic=b`, headers: { authorization, accept: 'application/json' } })
    ).json(),
    { events: [{ topic: 'a' }] },
  )

  const finite = { url: `${at}/streams/chats/v1.0`, headers: { authorization, 'content-type': 'image/x-theirs' } }
  const created = await app.inject({ ...finite, method: 'PUT', payload: 'x' })
  t.equal(created.statusCode, 201)
  t.equal(new URL(String(created.headers.location)).pathname, finite.url)
  t.match(await app.inject(finite), { statusCode: 200, payload: 'x', headers: { 'content-type': 'image/x-theirs' } })
  const fork = { authorization, 'stream-forked-from': finite.url }
  t.equal((await app.inject({ method: 'PUT', url: `${at}/streams/fork`, headers: fork })).statusCode, 201)

  const wrong = await app.inject({
    method: 'POST',
    url: `${at}/topics/a/events`,
    payload: { data: 1, more: 2 },
    headers: { authorization },
  })
  const refusals = [
    isProblem(t, wrong, 400, 'invalid-request'),
    isProblem(
      t,
      await app.inject({ url: `${at}/topics/a..b/events`, headers: { authorization } }),
      400,
      'invalid-pattern',
    ),
    isProblem(t, await app.inject({ url: `${at}/topics/a/events` }), 401, 'missing-token'),
    isProblem(t, await app.inject(`${at}/nowhere`), 404, 'not-found'),
    isProblem(t, await app.inject({ method: 'PUT', url: `${at}/topics/a/events` }), 405, 'method-not-allowed'),
    isProblem(
      t,
      await app.inject({
        method: 'POST',
        url: `${at}/topics/a/events`,
        payload: '{',
        headers: { authorization, 'content-type': 'application/json' },
      }),
      400,
      'invalid-json',
    ),
    isProblem(
      t,
      await app.inject({
        method: 'POST',
        url: `${at}/topics/a/events`,
        payload: 'x',
        headers: { authorization, 'content-type': 'application/x-theirs' },
      }),
      415,
      'unsupported-media-type',
    ),
  ]
  t.match(
    isProblem(t, wrong, 400, 'invalid-request').errors,
    [{ path: /more/ }],
    'the refusal has the path of the fault',
  )
  for (const { type } of refusals) t.equal((await app.inject(type)).statusCode, 200, `${type} leads to its description`)
  t.equal((await app.inject({ method: 'PUT', url: `${at}/status` })).headers.allow, 'GET, HEAD')

  const session = await app.inject({ method: 'POST', url: `${at}/sessions`, headers: { authorization } })
  t.match(
    [session.statusCode, String(session.headers['set-cookie'])],
    [204, new RegExp(`; Path=${at};`)],
    'the cookie applies to the hub only',
  )
  const redirect = await app.inject(at)
  t.strictSame([redirect.statusCode, redirect.headers.location], [302, `.${at.slice(at.lastIndexOf('/'))}/`])
  t.match(await app.inject(`${at}/`), {
    statusCode: 200,
    headers: { 'content-type': /^text\/html/, 'content-security-policy': /^default-src 'none'/ },
  })
}

/** Applications with their own configuration, each by its description. */
const applications: [
  what: string,
  options: FastifyServerOptions & { bodyLimit?: number },
  setUp?: (app: FastifyInstance) => unknown,
][] = [
  [
    'a serializer compiler that knows no other schemas',
    {},
    (app) =>
      app.setSerializerCompiler(() => {
        throw new Error('not a schema of the application')
      }),
  ],
  [
    'a validator compiler that knows no other schemas',
    {},
    (app) =>
      app.setValidatorCompiler(() => {
        throw new Error('not a schema of the application')
      }),
  ],
  ['a reply serializer', {}, (app) => app.setReplySerializer((payload) => JSON.stringify({ theirs: payload }))],
  [
    'a hook that wraps every answer',
    {},
    (app) => app.addHook('preSerialization', async (_request, _reply, payload) => ({ theirs: payload })),
  ],
  ['an error handler', {}, (app) => app.setErrorHandler((_err, _request, reply) => reply.code(418).send('theirs'))],
  ['a not-found handler', {}, (app) => app.setNotFoundHandler((_request, reply) => reply.code(404).send('theirs'))],
  [
    'a formatter of validation errors',
    {},
    (app) =>
      app.setSchemaErrorFormatter(() => {
        throw new Error('not errors of Ajv')
      }),
  ],
  ['a formatter of validation errors as an option', { schemaErrorFormatter: () => new Error('theirs') }],
  [
    'compilers among its options',
    {
      schemaController: {
        compilersFactory: {
          buildValidator: () => () => {
            throw new Error('not a schema of the application')
          },
          buildSerializer: () => () => {
            throw new Error('not a schema of the application')
          },
        },
      },
    },
  ],
  ['Ajv with options', { ajv: { customOptions: { removeAdditional: 'all', coerceTypes: 'array', allErrors: true } } }],
  ['options of its serializer', { serializerOpts: { rounding: 'ceil', mode: 'standalone' } }],
  [
    'a parser for everything',
    {},
    (app) =>
      app.addContentTypeParser('*', (_request, body, done) => {
        body.resume()
        done(null, 'theirs')
      }),
  ],
  [
    'a parser for JSON',
    {},
    (app) => {
      app.removeContentTypeParser('application/json')
      app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, _body, done) =>
        done(null, { theirs: true }),
      )
    },
  ],
  ['a parser for queries', { routerOptions: { querystringParser: () => ({ theirs: '1' }) } }],
  ['a parser for queries that returns nothing', { routerOptions: { querystringParser: () => undefined as never } }],
  ['no HEAD routes', { exposeHeadRoutes: false }],
  ['a router that ignores a trailing slash', { routerOptions: { ignoreTrailingSlash: true } }],
  ['a router that ignores duplicate slashes', { routerOptions: { ignoreDuplicateSlashes: true } }],
  ['a router that ignores case', { routerOptions: { caseSensitive: false } }],
  ['a small limit for bodies', { bodyLimit: 1 }],
  ['numbers as request ids', { genReqId: () => 7 as unknown as string }],
  ['a logger', { logger: { level: 'silent' }, logController: new LogController({ disableRequestLogging: true }) }],
  ['no logger', { logger: false }],
  [
    'hooks at every step',
    {},
    (app) => {
      for (const name of [
        'onRequest',
        'preParsing',
        'preValidation',
        'preHandler',
        'onSend',
        'onResponse',
        'onError',
        'onTimeout',
      ] as const) {
        app.addHook(name, async () => undefined)
      }
      app.addHook('onRequestAbort', (_request, done) => done())
    },
  ],
  [
    'a hook that adds a header late',
    {},
    (app) => app.addHook('onSend', async (_request, reply) => void reply.header('x-theirs', 'yes')),
  ],
  [
    'decorators of the same names',
    {},
    (app) => {
      for (const name of [
        'authenticate',
        'tickets',
        'revocations',
        'jwt',
        'limitPublishing',
        'mountPath',
        'publicPath',
        'allowedMethods',
        'pathBelow',
        'rateLimit',
      ])
        app.decorate(name, 'theirs')
      for (const name of ['user', 'principal', 'token']) app.decorateRequest(name, null)
      for (const name of ['eventStream', 'helmet']) app.decorateReply(name, null)
    },
  ],
  ['@fastify/jwt', {}, (app) => app.register(fastifyJwt, { secret: 'theirs' })],
  [
    '@fastify/jwt in a namespace of the same name',
    {},
    (app) => app.register(fastifyJwt, { secret: 'theirs', namespace: 'fanfare' }),
  ],
  ['@fastify/helmet', {}, (app) => app.register(fastifyHelmet, { enableCSPNonces: true })],
  ['@fastify/rate-limit', {}, (app) => app.register(fastifyRateLimit, { max: 1_000 })],
  ['@fastify/static', {}, (app) => app.register(fastifyStatic, { root: process.cwd(), prefix: '/files/' })],
]

for (const [what, options, setUp] of applications) {
  await t.test(`a hub in an application with ${what}`, async (t) => {
    const app = Fastify(options)
    t.teardown(() => app.close())
    await setUp?.(app)
    await app.register(fanfare, { prefix: '/rt', ...HUB })
    await isItself(t, app, '/rt')
  })
  if (setUp) {
    await t.test(`${what}, set after the hub`, async (t) => {
      const app = Fastify(options)
      t.teardown(() => app.close())
      await app.register(fanfare, { prefix: '/rt', ...HUB })
      await setUp(app)
      await isItself(t, app, '/rt')
    })
  }
}

/** The prefix of a hub, and the path of its routes. */
const prefixes: [words: string, outer: string, prefix: string, at: string][] = [
  ['a prefix', '', '/rt', '/rt'],
  ['a prefix with a trailing slash', '', '/rt/', '/rt'],
  ['a prefix without a leading slash', '', 'rt', '/rt'],
  ['a prefix of two segments', '', '/a/b', '/a/b'],
  ['a prefix within a prefix', '/a', '/b', '/a/b'],
  ['a prefix within a prefix, both with a trailing slash', '/a/', '/b/', '/a/b'],
]

for (const [words, outer, prefix, at] of prefixes) {
  await t.test(`a hub with ${words}`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(
      async (scope) => {
        await scope.register(fanfare, { prefix, ...HUB })
      },
      { prefix: outer },
    )
    await isItself(t, app, at)
  })
}

await t.test(
  'a prefix with a parameter: the types of problems and the cookie have the value of the request',
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fanfare, { prefix: '/tenants/:tenant', ...HUB })
    t.equal(
      isProblem(t, await app.inject('/tenants/t1/nowhere'), 404, 'not-found').type,
      '/tenants/t1/errors/not-found',
    )
    isProblem(t, await app.inject({ method: 'PUT', url: '/tenants/t1/status' }), 405, 'method-not-allowed')
    t.match(
      String(
        (await app.inject({ method: 'POST', url: '/tenants/t1/sessions', headers: { authorization } })).headers[
          'set-cookie'
        ],
      ),
      /; Path=\/tenants\/t1;/,
    )
  },
)

await t.test('a router that ignores case or slashes accepts such paths, also in refusals', async (t) => {
  const app = Fastify({
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
  })
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  for (const url of ['/RT/Status', '/rt/status/', '//rt//status']) t.equal((await app.inject(url)).statusCode, 200, url)
  for (const url of ['/rt/Status', '/rt/status/', '/rt//status']) {
    isProblem(t, await app.inject({ method: 'PUT', url }), 405, 'method-not-allowed', `PUT ${url}`)
  }
  for (const url of ['/RT/Streams/A/b', '/rt//streams/A/b', '/rt/streams/A/b/']) {
    t.match((await app.inject({ method: 'PUT', url, headers: { authorization } })).statusCode, /^20[01]$/, url)
  }
  t.match((await app.inject({ url: '/rt/topics/A.b', headers: { authorization } })).json(), { topic: 'A.b' })
  isProblem(t, await app.inject({ url: '/rt/streams/a.b', headers: { authorization } }), 404, 'stream-not-found')
  t.match(
    String(
      (await app.inject({ method: 'POST', url: '/RT/sessions', headers: { authorization } })).headers['set-cookie'],
    ),
    /; Path=\/RT;/,
    'the path that the browser requested',
  )
})

await t.test('the console works behind a URL that the application rewrites', async (t) => {
  const app = Fastify({ rewriteUrl: ({ url = '' }) => url.replace(/^\/events-hub(?=\/|$)/, '/rt') })
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  t.equal((await app.inject('/events-hub')).headers.location, './events-hub/')
  t.match(await app.inject('/events-hub/'), { statusCode: 200, headers: { 'content-type': /^text\/html/ } })
})

for (const prefix of [undefined, '', '/']) {
  await t.test(`with the prefix ${JSON.stringify(prefix)} the root is the application's`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fanfare, { ...(prefix === undefined ? {} : { prefix }), ...HUB })
    app.setNotFoundHandler((_request, reply) => reply.code(404).send('theirs'))
    app.get('/', async () => 'theirs')
    t.equal((await app.inject('/')).body, 'theirs')
    t.equal((await app.inject('/nowhere')).body, 'theirs')
    t.match(
      await app.inject({ method: 'PUT', url: '/status' }),
      { statusCode: 404, body: 'theirs' },
      'the application also answers unsupported methods on a path of the hub',
    )
    t.equal(isProblem(t, await app.inject('/topics/a/events'), 401, 'missing-token').type, '/errors/missing-token')
    t.match(
      String(
        (await app.inject({ method: 'POST', url: '/sessions', headers: { authorization } })).headers['set-cookie'],
      ),
      /; Path=\/;/,
    )
  })
}

await t.test('two hubs in one application, each in its own scope', async (t) => {
  for (const beside of [undefined, fastifyJwt] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    if (beside) await app.register(beside, { secret: 'theirs' })
    const hubs: FastifyInstance['hub'][] = []
    for (const prefix of ['/one', '/two']) {
      await app.register(async (scope) => {
        await scope.register(fanfare, { prefix, ...HUB, publishRate: 1_000 })
        hubs.push(scope.hub)
      })
    }
    t.not(hubs[0], hubs[1])
    await isItself(t, app, '/one')
    t.equal(hubs[1]!.stats().events, 0, 'the other hub has no event')
    t.equal(
      (
        await app.inject({
          method: 'POST',
          url: '/two/topics/a/events',
          payload: { data: 1 },
          headers: { authorization },
        })
      ).statusCode,
      201,
    )
    t.strictSame(
      hubs.map((hub) => hub.stats().events),
      [3, 1], // two events, and a message of a finite topic
    )
  }
})

await t.test('a second hub may be in a scope below the first, and is refused in the same scope', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/one', ...HUB })
  await app.register(async (scope) => {
    await scope.register(fanfare, { prefix: '/two', ...HUB })
    t.not(scope.hub, app.hub)
  })
  for (const at of ['/one', '/two']) t.equal((await app.inject(`${at}/status`)).statusCode, 200, at)
  const other = Fastify()
  t.teardown(() => other.close().catch(() => undefined))
  await other.register(fanfare, { prefix: '/one', ...HUB })
  await t.rejects(Promise.resolve(other.register(fanfare, { prefix: '/two', ...HUB })), {
    name: 'SettingsError',
    message: /scope of its own/,
  })
})

await t.test('a prefix that is not a string is refused', async (t) => {
  for (const prefix of [5, null, true, {}, []] as unknown as string[]) {
    const app = Fastify()
    t.teardown(() => app.close().catch(() => undefined))
    await t.rejects(
      Promise.resolve(app.register(fanfare, { prefix, ...HUB })),
      { name: 'SettingsError', message: /^The option prefix: .* must be a path such as "\/realtime"\.$/ },
      JSON.stringify(prefix),
    )
  }
})

await t.test('the rate limit of the hub is independent of a limit of the application', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyRateLimit, { max: 5, timeWindow: 60_000 })
  await app.register(fanfare, { prefix: '/rt', ...HUB, publishRate: 2 })
  const publish = () =>
    app.inject({ method: 'POST', url: '/rt/topics/a/events', payload: { data: 1 }, headers: { authorization } })
  const answers = [await publish(), await publish(), await publish()]
  t.strictSame(
    answers.map(({ statusCode }) => statusCode),
    [201, 201, 429],
  )
  t.match(isProblem(t, answers[2]!, 429, 'rate-limited').detail, /FANFARE_PUBLISH_RATE/)
  for (let n = 0; n < 3; n++) await app.inject('/rt/status')
  isProblem(t, await app.inject('/rt/status'), 429, 'rate-limited', "the application's limit applies to the hub")
})

await t.test("the hub keeps the Retry-After of an application's limit", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyRateLimit, { max: 1, timeWindow: 60_000 })
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  await app.inject('/rt/status')
  const response = await app.inject('/rt/status')
  isProblem(t, response, 429, 'rate-limited')
  t.ok(Number(response.headers['retry-after']) > 30, `${String(response.headers['retry-after'])} s`)
})

await t.test("an error of an application's hook is problem details in the hub", async (t) => {
  const thrown: [what: unknown, status: number, code: string][] = [
    [Object.assign(new Error('not you'), { statusCode: 403 }), 403, 'not-granted'],
    [{ statusCode: 429, message: 'too often' }, 429, 'rate-limited'],
    [new Error('their failure'), 500, 'internal-error'],
    ['their failure', 500, 'internal-error'],
    [null, 500, 'internal-error'],
  ]
  for (const [what, status, code] of thrown) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.addHook('preHandler', () => Promise.reject(what as Error))
    await app.register(fanfare, { prefix: '/rt', ...HUB })
    isProblem(t, await app.inject('/rt/status'), status, code, String(what))
  }
})

await t.test('an error of a late hook is answered without delay', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onSend', async () => {
    throw new Error('their failure')
  })
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  t.equal((await app.inject('/rt/status')).statusCode, 500)
  t.equal((await app.inject('/rt/nowhere')).statusCode, 500)
  const url = await listen(app)
  const stream = await openLive(t, `${url}/rt/topics/a/events`, { token: anyTopic() })
  await app.hub.publish('a', { data: 1 })
  await stream.count(1)
})

await t.test('hooks of the application see a new stream and add headers, but do not change its bytes', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const sent: string[] = []
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-theirs', 'yes'))
  app.addHook('onSend', async ({ url }, _reply, payload) => {
    sent.push(url)
    return typeof payload === 'string' ? payload.toUpperCase() : payload
  })
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  const url = new URL(await listen(app))
  const socket = connect(Number(url.port), url.hostname)
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  socket.write(`GET /rt/topics/a/events HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`)
  await within(
    (async () => {
      while (!text.includes('fanfare.open')) await once(socket, 'data')
      await app.hub.publish('a', { data: 'lower case' })
      while (!text.includes('data: "lower case"')) await once(socket, 'data')
    })(),
    () => text,
  )
  t.match(text, /^HTTP\/1\.1 200 /)
  t.match(text.toLowerCase(), /\r\nx-theirs: yes\r\n/)
  t.strictSame(sent, [], 'a stream does not pass onSend')
  t.equal((await app.inject('/rt/status')).body.slice(0, 9), '{"STATUS"', "other answers pass the application's onSend")
})

await t.test('each hub accepts only tokens of its own key', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyJwt, { secret: 'theirs' })
  await app.register(fanfare, { prefix: '/rt', ...HUB })
  const claims = ['{"alg":"HS256","typ":"JWT"}', '{"fanfare":{"subscribe":["**"]}}']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  const forged = `${claims}.${createHmac('sha256', 'theirs').update(claims).digest('base64url')}`
  isProblem(
    t,
    await app.inject({ url: '/rt/topics/a/events', headers: { authorization: `Bearer ${forged}` } }),
    401,
    'invalid-signature',
  )
})

await t.test('an application can pass its own log to the hub', async (t) => {
  const keepAll = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }
  const log = new MemoryLog(keepAll)
  await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'before' }])
  const embedded = Fastify()
  t.teardown(() => embedded.close())
  await embedded.register(fanfare, { ...HUB, prefix: '/realtime', log })
  const own = await buildApp({ jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS, log: new MemoryLog(keepAll) })
  t.teardown(() => own.close())
  const { id } = await embedded.hub.publish('a', { text: 'x' })
  t.equal(id, `${log.view.epoch}-2`)
  t.equal(log.view.head, 2)
  t.match(embedded.hub.stats(), { events: 2 })
  t.match(own.hub.stats(), { events: 0 }, 'each hub has its own log')
  t.match(await own.hub.publish('a', { text: 'x' }), { duplicate: false })
  let told = 0
  await log.follow(() => {
    told++
  })
  await embedded.close()
  await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'after' }])
  t.equal(told, 0, 'the hub closes the log')
})

await t.test('a value that is not a log is refused', async (t) => {
  const incomplete = { view: {}, records: {}, follow: () => undefined }
  for (const [log, words] of [
    [
      incomplete,
      /lacks view\.epoch .*, view\.head, view\.mark, view\.stats, records\.get, .*, records\.watch, append, scan, locate, newest, topic, topics, purge, halt, close\.$/,
    ],
    [{ ...incomplete, append: 1, view: 'x' }, /lacks view, records\.get, .*append, scan/],
    [[], /lacks view/],
    [{ ...incomplete, view: null, records: null }, /lacks view, records, append/],
    [
      { ...incomplete, view: { epoch: 'BAD!', head: -1, mark: 0, stats() {} } },
      /lacks view\.epoch [^,]*, view\.head, records/,
    ],
    [null, /The option log: null must be/],
    [42, /The option log: 42 must be/],
    ['disk', /The option log: "disk" must be memory, file:<folder>, or nats:/],
  ] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    const refusal: unknown = await app.register(fanfare, { ...HUB, log: log as never }).then(
      () => undefined,
      (err: unknown) => err,
    )
    t.ok(refusal instanceof SettingsError)
    t.match((refusal as Error).message, words)
  }
})
