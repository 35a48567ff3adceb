/** The OpenAPI document of the hub's own routes. */
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type FanfareOptions } from '../../src/index.js'
import { refusals, type ProblemCode } from '../../src/errors.js'
import type { OpenApi } from '../../src/openapi/open-api.js'
import { OPERATIONS } from '../../src/openapi/operations.js'
import { keyOf } from '../../src/openapi/route.js'
import { kRoutes } from '../../src/plugins/route-list.js'
import { Compile, type TSchema } from '../../src/schemas/typebox.js'
import { schemaFile } from '../hub/typed-topics/schema-file.js'
import { SECRET } from '../helper/token.js'

/** Routes that are not part of the API: the files of the console, and of the page at `/docs`. */
const FILES = /^GET \/(?:assets\/.*|.*\.(?:html|svg)|docs\/.*)$/

/** Returns the document of a hub, and the routes of the hub. */
async function read(t: Test, settings: FanfareOptions = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  const scopes: FastifyInstance[] = []
  app.addHook('onRegister', (scope) => void scopes.push(scope))
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET, prefix: '/hub', ...settings })
  const document = (await app.inject('/hub/openapi.json')).json<OpenApi>()
  const routes = scopes.find((scope) => scope.hasDecorator(kRoutes))![kRoutes]
  return { app, routes, document }
}

await t.test('the document is valid OpenAPI 3.2', async (t) => {
  const schemas = schemaFile(t, { $defs: { a: {} }, 'x.*': { types: { b: { $ref: '#/$defs/a' }, '*': true } } })
  for (const settings of [{}, { anonymousSubscribe: ['**'], schemas }]) {
    const { document } = await read(t, settings)
    t.equal(document.openapi, '3.2.0')
    const { valid, errors } = await new Validator().validate(
      structuredClone(document) as unknown as Record<string, unknown>,
    )
    t.ok(valid, JSON.stringify(errors))
  }
})

/** Returns a value without the members of a name, at any depth. */
function without(name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => without(name, item))
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (key === name ? [] : [[key, without(name, member)]])),
  )
}

await t.test('the document without itemSchema is valid OpenAPI 3.1, as docs/openapi.md says', async (t) => {
  const { document } = await read(t)
  const older = { ...(without('itemSchema', document) as object), openapi: '3.1.1' }
  const { valid, errors } = await new Validator().validate(older)
  t.ok(valid, JSON.stringify(errors))
})

await t.test('every route has an operation, and every operation a route', async (t) => {
  const { routes, document } = await read(t)
  const served = new Set(routes.map(keyOf).filter((key) => !FILES.test(key)))
  t.strictSame(
    [...served].filter((key) => !(key in OPERATIONS)),
    [],
    'describe them in src/openapi/operations/',
  )
  const keys = Object.keys(OPERATIONS).filter((key) => !key.startsWith('HEAD '))
  t.strictSame(
    keys.filter((key) => !served.has(OPERATIONS[key]!.servedBy ?? key)),
    [],
    'operations without a route',
  )
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const heads = keys.filter((key) => key.startsWith('GET ')).map((key) => key.replace('GET', 'HEAD'))
  t.strictSame(described.sort(), [...keys, ...heads].sort())
  t.strictSame(
    Object.keys(OPERATIONS).filter((key) => key.startsWith('HEAD ') && !heads.includes(key)),
    [],
    'operations of HEAD without one of GET',
  )
})

await t.test('each HEAD has the parameters of its GET, no other status, and no content', async (t) => {
  const { app, document } = await read(t)
  const { paths } = document
  for (const [path, { get, head }] of Object.entries(paths)) {
    if (!get) continue
    t.strictSame(head!.parameters, get.parameters, path)
    t.strictSame(
      Object.keys(head!.responses).filter((status) => !(status in get.responses)),
      [],
      path,
    )
    t.ok('200' in head!.responses)
    t.equal('204' in head!.responses, '204' in get.responses && path !== '/streams/{path}', path)
    for (const { content } of Object.values(head!.responses)) t.equal(content, undefined, path)
  }
  for (const path of ['/status', '/health/live', '/docs'])
    t.equal((await app.inject({ method: 'HEAD', url: `/hub${path}` })).statusCode, 200)
})

await t.test('cancelling a stream is an operation of its own', async (t) => {
  const { paths } = (await read(t)).document
  const cancel = paths['/streams/{path}/cancel']!['post']!
  t.match(cancel, { operationId: 'cancelStream', parameters: [{ name: 'path', in: 'path', required: true }] })
  t.equal(cancel.requestBody, undefined)
  const $ref = '#/components/schemas/CancelledStream'
  t.strictSame(cancel.responses['200']!.content, { 'application/json': { schema: { $ref } } })
  const append = paths['/streams/{path}']!['post']!
  t.equal(append.responses['200']!.content, undefined, 'the answer to an append has no JSON body')
})

await t.test('every operation has its parts', async (t) => {
  const { routes, document } = await read(t)
  const ids = new Set<string>()
  for (const route of routes) {
    const key = keyOf(route)
    if (FILES.test(key)) continue
    const {
      summary,
      operationId,
      tags,
      parameters = [],
      requestBody,
      responses,
      security,
    } = document.paths[key.slice(key.indexOf(' ') + 1)]![route.method.toLowerCase()]!
    t.match(summary, /^[A-Z].*[^.]$/, key)
    t.notOk(ids.has(operationId) && route.path !== '/', `${key}: the id ${operationId} is unique`)
    ids.add(operationId)
    t.strictSame(document.tags.filter(({ name }) => tags.includes(name)).length, 1, key)
    t.strictSame(security!.length > 0, route.isAuthenticated, key)
    t.strictSame(requestBody !== undefined, route.schema.body !== undefined || /^(?:PUT|POST) \/streams/.test(key), key)
    for (const status of Object.keys(route.schema.response ?? {}))
      t.ok(responses[status]?.content?.['application/json']?.['schema'], `${key}: ${status}`)
    for (const [status, { description }] of Object.entries(responses))
      t.ok(description && description !== 'Default Response', `${key}: ${status}`)
    const names = [...key.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    t.strictSame(
      parameters.filter((one) => one.in === 'path').map(({ name }) => name),
      names,
      key,
    )
    t.ok(responses['500'], key)
    t.equal(responses['401'] !== undefined, route.isAuthenticated, key)
  }
})

await t.test('each refusal has its codes, and each code is in the table of errors', async (t) => {
  const { document } = await read(t)
  const seen = new Set<string>()
  for (const methods of Object.values(document.paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      if (method === 'head') continue
      for (const [status, { content }] of Object.entries(responses)) {
        const problem = content?.['application/problem+json']
        t.equal(problem !== undefined, Number(status) >= 400)
        if (!problem) continue
        const { properties } = problem['schema'] as { properties: { code: { enum: ProblemCode[] } } }
        for (const code of properties.code.enum) {
          t.equal(refusals[code].status, Number(status), code)
          seen.add(code)
        }
      }
    }
  }
  // no operation has this code: it is the answer to a method that a path does not support
  t.strictSame(
    Object.keys(refusals).filter((code) => !seen.has(code)),
    ['method-not-allowed'],
  )
})

await t.test('event streams and NDJSON are described item by item', async (t) => {
  const { document } = await read(t)
  for (const path of ['/events', '/topics/{topic}/events']) {
    const { content } = document.paths[path]!['get']!.responses['200']!
    t.strictSame(content!['text/event-stream'], { itemSchema: { $ref: '#/components/schemas/StreamBlock' } })
    t.strictSame(content!['application/json'], { schema: { $ref: '#/components/schemas/History' } })
  }
  const { content } = document.paths['/events']!['post']!.requestBody!
  t.match(content!['application/x-ndjson'], { itemSchema: { $ref: '#/components/schemas/BatchEvent' } })
  t.match(content!['application/json'], { schema: { $ref: '#/components/schemas/BatchBody' } })
})

await t.test('examples of bodies fit the schemas of their routes', async (t) => {
  const { routes, document } = await read(t)
  for (const route of routes) {
    const described = document.paths[keyOf(route).slice(route.method.length + 1)]?.[route.method.toLowerCase()]
    const example = described?.requestBody?.content?.['application/json']?.['example']
    if (described?.requestBody) t.ok(example !== undefined, keyOf(route))
    if (example === undefined || route.schema.body === undefined) continue
    const body = route.schema.body as TSchema & { content?: { 'application/json': { schema: TSchema } } }
    t.ok(Compile(body.content?.['application/json'].schema ?? body).Check(example), keyOf(route))
  }
})

await t.test('topics that need no token need none in the document', async (t) => {
  const security = ({ document }: Awaited<ReturnType<typeof read>>) => document.paths['/events']!['get']!.security
  const places = [{ bearer: [] }, { cookie: [] }, { ticket: [] }]
  t.strictSame(security(await read(t)), places)
  t.strictSame(security(await read(t, { anonymousSubscribe: ['news'] })), [...places, {}])
})

await t.test('typed topics are schemas of the document', async (t) => {
  const money = { type: 'integer', minimum: 0 }
  const { document } = await read(t, {
    schemas: schemaFile(t, {
      $defs: { money },
      'orders.*': { properties: { total: { $ref: '#/$defs/money' } }, enum: [{ $ref: '#/data' }] },
      'a.b': { types: { created: true, '*': { type: 'null' } } },
    }),
  })
  const base = '#/components/schemas/'
  t.strictSame(document['x-typed-topics'], {
    'orders.*': { $ref: `${base}topic-orders.any` },
    'a.b': { types: { created: { $ref: `${base}topic-a.b-created` }, '*': { $ref: `${base}topic-a.b-any` } } },
  })
  t.strictSame(document.components.schemas['topic-orders.any'], {
    properties: { total: { $ref: `${base}topic-orders.any/$defs/money` } },
    enum: [{ $ref: '#/data' }],
    $defs: { money },
  })
  t.strictSame(document.components.schemas['topic-a.b-created'], {})
  t.notOk('x-typed-topics' in (await read(t)).document)
})
