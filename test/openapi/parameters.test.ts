/** The schemas of parameters in the document are true: the hub accepts the values that they allow, and no others. */
import t from 'tap'
import type { OpenApi } from '../../src/openapi/open-api.js'
import type { Parameter } from '../../src/openapi/parameters.js'
import { Compile, type TSchema } from '../../src/schemas/typebox.js'
import { token } from '../helper/token.js'
import { openApp } from '../routes/open-app.js'

const ADMIN = token({ sub: 'root', admin: true, subscribe: ['**'], publish: ['**'], presence: ['**'] })

type Samples = [allowed: unknown[], refused: unknown[]]

const EPOCH = '8f3kq0zt-'
const PAGE: Samples = [
  [1, 100, 1_000],
  [0, 1_001, -1, 1.5, 'x', ''],
]
const FLAG: Samples = [
  [true, false],
  ['yes', 1, 'TRUE', ''],
]
const PATTERN: Samples = [
  ['a', 'a.*', '**', 'a:b.c@d'],
  ['', 'a..b', 'a.**.b', 'a b', 'a'.repeat(201)],
]
const TYPES: Samples = [
  [['a'], ['a', 'b']],
  [[''], Array.from({ length: 101 }, (_, n) => `t${n}`)],
]
const DURATION: Samples = [
  ['1m', '15m', '1h', '90s', '1.5m'],
  ['1', '5x', '-1m', '', '1 m'],
]

/** Values of each parameter of a query: those of the schema, and others. */
const SAMPLES: Record<string, Samples> = {
  'GET /events topic': [
    [['a'], ['a.*', 'b']],
    [[''], ['a..b'], Array.from({ length: 101 }, (_, n) => `t${n}`)],
  ],
  'GET /events type': TYPES,
  'GET /events lastEventId': [[`${EPOCH}1`, 'anything'], []],
  'GET /events replay': [
    [0, 1_000, 'all', 'latest'],
    [-1, 1_001, 'ALL', 'x', 1.5],
  ],
  'GET /events from': [
    ['start', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00+01:00'],
    ['begin', '2020-01-01', 'now', ''],
  ],
  'GET /events format': [
    ['raw', 'json', 'cloudevents'],
    ['xml', 'RAW', ''],
  ],
  'GET /events cursor': [
    ['a', 'A-b_9', 'a'.repeat(64)],
    ['', 'a.b', 'a'.repeat(65)],
  ],
  'GET /events slow': [
    ['resume', 'latest'],
    ['fast', ''],
  ],
  'GET /events presence': FLAG,
  'GET /events observe': FLAG,
  'GET /events after': [
    [`${EPOCH}0`, `${EPOCH}12`],
    ['x', `${EPOCH}01`, ''],
  ],
  'GET /events before': [
    [`${EPOCH}0`, `${EPOCH}12`],
    ['x', `${EPOCH}01`, ''],
  ],
  'GET /events limit': PAGE,
  'GET /events last': PAGE,
  'GET /topics prefix': [['', 'a', 'a'.repeat(200)], ['a'.repeat(201)]],
  'GET /topics search': [
    ['a', 'a.*', 'a'.repeat(200)],
    ['', 'a'.repeat(201)],
  ],
  'GET /topics activity': FLAG,
  'GET /topics after': [['', 'a', 'a'.repeat(200)], ['a'.repeat(201)]],
  'GET /topics limit': PAGE,
  'GET /connections topic': PATTERN,
  'GET /connections subject': [['', 'u1'], []],
  'GET /connections search': [
    ['a', 'a'.repeat(200)],
    ['', 'a'.repeat(201)],
  ],
  'GET /connections order': [
    ['id', 'lag'],
    ['age', ''],
  ],
  'GET /connections limit': PAGE,
  'GET /connections after': [['', 'x'], []],
  'DELETE /connections subject': [['u1'], ['']],
  'GET /stats range': DURATION,
  'POST /topics/{topic}/events type': [
    ['a', 'a'.repeat(128)],
    ['', 'a'.repeat(129), 'fanfare.open'],
  ],
  'GET /streams/{path} offset': [
    ['-1', 'now', '0000000000000000', '0000000000000000_0000000000000000'],
    ['', '0', '-2', 'end'],
  ],
  'GET /streams/{path} live': [
    ['long-poll', 'sse'],
    ['poll', ''],
  ],
  'GET /streams/{path} cursor': [['1', 'x', ''], []],
}

/** A ticket is refused as a token is. */
const NOT_SAMPLED = ['ticket']
/** Parameters of streams; the others of these routes are those of pages. */
const OF_STREAMS = ['lastEventId', 'replay', 'format', 'cursor', 'slow', 'presence', 'observe']

await t.test('each parameter of a query has the schema that the hub checks', async (t) => {
  const { app, send } = await openApp(t, { longPoll: 1 })
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>()
  await send({
    method: 'PUT',
    url: '/streams/chats/1',
    headers: { 'content-type': 'text/plain', 'stream-closed': 'true' },
  })
  const sampled = new Set<string>()

  /** Whether the hub accepts a value. `HEAD` opens no stream. */
  async function accepts(method: string, path: string, parameter: Parameter, value: unknown): Promise<boolean> {
    const { name } = parameter
    const query = new URLSearchParams([value].flat().map((one) => [name, String(one)]))
    if (path === '/events' && name !== 'topic') query.append('topic', 'a')
    if (path === '/streams/{path}' && name !== 'offset') query.append('offset', '-1')
    const isStream = path === '/events' && OF_STREAMS.includes(name)
    const answer = await app.inject({
      method: (isStream ? 'HEAD' : method) as 'GET',
      url: `${path.replace('{topic}', 'a').replace('{path}', 'chats/1')}?${query.toString()}`,
      headers: {
        authorization: `Bearer ${ADMIN}`,
        accept: isStream ? 'text/event-stream' : 'application/json',
        ...(method === 'POST' && { 'content-type': 'text/plain' }),
      },
      ...(method === 'POST' && { payload: 'x' }),
    })
    t.ok([200, 201, 204, 400].includes(answer.statusCode), `${path}?${query.toString()}: ${answer.statusCode}`)
    return answer.statusCode < 400
  }

  for (const [path, methods] of Object.entries(paths)) {
    if (path === '/topics/{topic}/events') continue // those of GET /events, except below
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      if (method === 'head') continue
      for (const parameter of parameters.filter((one) => one.in === 'query')) await check(method, path, parameter)
    }
  }
  const publish = paths['/topics/{topic}/events']!['post']!.parameters!
  await check(
    'post',
    '/topics/{topic}/events',
    publish.find(({ name }) => name === 'type')!,
  )
  t.strictSame(
    Object.keys(SAMPLES).filter((key) => !sampled.has(key)),
    [],
    'each sample is of a parameter',
  )

  async function check(method: string, path: string, parameter: Parameter): Promise<void> {
    if (NOT_SAMPLED.includes(parameter.name)) return
    const key = `${method.toUpperCase()} ${path} ${parameter.name}`
    const samples = SAMPLES[key]
    if (!samples) throw new Error(`${key} has no samples`)
    sampled.add(key)
    const schema = Compile(parameter.schema as TSchema)
    for (const [index, values] of samples.entries()) {
      for (const value of values) {
        const isAllowed = index === 0
        t.equal(schema.Check(value), isAllowed, `${key}: the schema and ${JSON.stringify(value)}`)
        t.equal(
          await accepts(method.toUpperCase(), path, parameter, value),
          isAllowed,
          `${key}: ${JSON.stringify(value)}`,
        )
      }
    }
  }
})

await t.test('the parameters of a topic are those of several topics, without the topics', async (t) => {
  const { app } = await openApp(t)
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>()
  const ofQuery = (path: string) => paths[path]!['get']!.parameters!.filter((one) => one.in === 'query')
  const [topic, ...rest] = ofQuery('/events')
  t.match(topic, { name: 'topic', required: true, style: 'form', explode: true, schema: { type: 'array' } })
  t.strictSame(ofQuery('/topics/{topic}/events'), rest)
})

await t.test('no parameter is a text that says its limits in prose only', async (t) => {
  const { app } = await openApp(t)
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>()
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      for (const { name, in: place, schema, description } of parameters) {
        const what = `${method} ${path}: ${place} ${name}`
        t.ok(description, what)
        t.ok(schema && Object.keys(schema).length > 0, what)
        t.notMatch(JSON.stringify(schema), /x-parameter/, what)
        if (place === 'path') t.ok(Object.keys(schema!).length > 1, `${what} has limits`)
      }
    }
  }
})
