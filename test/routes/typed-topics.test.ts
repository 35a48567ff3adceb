/** Events that do not fit the schema of their topic, for every way to publish. */
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import t from 'tap'
import fanfare, { HubError, SettingsError } from '../../src/index.js'
import { openPublisher } from '../../src/publisher.js'
import { SECRET } from '../helper/token.js'
import { schemaFile } from '../hub/typed-topics/schema-file.js'
import { isProblem, openApp } from './open-app.js'

const SCHEMAS = {
  'orders.*': {
    type: 'object',
    properties: { total: { type: 'number' } },
    required: ['total'],
    additionalProperties: false,
  },
}
const good = { topic: 'orders.1', data: { total: 12 } }
const bad = { topic: 'orders.1', data: { total: '12' } }
const faults = [{ path: '/data/total', message: 'must be number' }]

await t.test('a publish over HTTP is refused with the path of each fault, and stores nothing', async (t) => {
  const { app, send } = await openApp(t, { schemas: schemaFile(t, SCHEMAS) })
  const post = (url: string, payload: string, type = 'application/json') =>
    send({ method: 'POST', url, payload, headers: { 'content-type': type } })
  const one = (event: object, type?: string) => post('/topics/orders.1/events', JSON.stringify(event), type)

  t.equal((await one({ data: good.data })).statusCode, 201)
  const single = isProblem(t, await one({ data: bad.data }), 400, 'schema-mismatch')
  t.equal(single.detail, 'The event does not fit the schema of "orders.*": /data/total must be number.')
  t.strictSame(single.errors, faults)
  t.strictSame(isProblem(t, await one({ data: { total: 1, more: 1 } }), 400, 'schema-mismatch').errors, [
    { path: '/data/more', message: 'is not known' },
  ])
  t.strictSame(
    isProblem(t, await one({ ephemeral: true, ...{ data: bad.data } }), 400, 'schema-mismatch').errors,
    faults,
  )
  const text = isProblem(t, await post('/topics/orders.1/events', 'hello', 'text/plain'), 400, 'schema-mismatch')
  t.strictSame(text.errors, [{ path: '/text', message: 'must be object' }])

  for (const filler of ['', 'x'.repeat(70_000)]) {
    const batch = { events: [good, { topic: 'other', text: filler }, bad] }
    const refused = isProblem(t, await post('/events', JSON.stringify(batch)), 400, 'schema-mismatch')
    t.strictSame(refused.errors, [{ path: '/events/2/data/total', message: 'must be number' }])
    t.equal(
      refused.detail,
      '/events/2: The event does not fit the schema of "orders.*": /data/total must be number.',
      'the sentence names the event too',
    )
  }

  const lines = [good, bad, good].map((event) => JSON.stringify(event)).join('\n')
  const upload = isProblem(t, await post('/events', lines, 'application/x-ndjson'), 400, 'schema-mismatch')
  t.match(upload, { line: 2, accepted: 1, errors: faults })
  t.match(upload.detail, /^Line 2: The event does not fit the schema of "orders\.\*": \/data\/total must be number\.$/)

  t.equal((await app.hub.topic('orders.1')).events, 2, 'the first event, and the first line')
})

await t.test('a decimal is a multiple of a decimal', async (t) => {
  const { send } = await openApp(t, { schemas: schemaFile(t, { prices: { multipleOf: 0.01 } }) })
  const post = (data: number) => send({ method: 'POST', url: '/topics/prices/events', payload: { data } })
  for (const data of [0.07, 1.13, 12, 1_000_000.01]) t.equal((await post(data)).statusCode, 201, `${data}`)
  isProblem(t, await post(0.075), 400, 'schema-mismatch')
})

await t.test('a message of a finite topic is refused with the path of each fault, and stores nothing', async (t) => {
  const { send } = await openApp(t, { schemas: schemaFile(t, SCHEMAS) })
  const ask = (method: 'PUT' | 'POST' | 'GET', url: string, payload?: unknown, type = 'application/json') =>
    send({
      method,
      url,
      ...(payload !== undefined && { payload: JSON.stringify(payload), headers: { 'content-type': type } }),
    })

  const created = isProblem(t, await ask('PUT', '/streams/orders/1', [bad.data]), 400, 'schema-mismatch')
  t.strictSame(created.errors, [{ path: '/0/total', message: 'must be number' }])
  t.equal(created.detail, '/0: The message does not fit the schema of "orders.*": /total must be number.')
  isProblem(t, await ask('GET', '/streams/orders/1'), 404, 'stream-not-found')

  t.equal((await ask('PUT', '/streams/orders/1', [good.data])).statusCode, 201)
  const appended = isProblem(t, await ask('POST', '/streams/orders/1', [good.data, bad.data]), 400, 'schema-mismatch')
  t.strictSame(appended.errors, [{ path: '/1/total', message: 'must be number' }])
  t.equal(appended.detail, '/1: The message does not fit the schema of "orders.*": /total must be number.')
  const single = isProblem(t, await ask('POST', '/streams/orders/1', bad.data), 400, 'schema-mismatch')
  t.strictSame(single.errors, [{ path: '/total', message: 'must be number' }], 'a body that is one message')
  t.equal(single.detail, 'The message does not fit the schema of "orders.*": /total must be number.')
  const whole = isProblem(t, await ask('POST', '/streams/orders/1', [good.data, 7]), 400, 'schema-mismatch')
  t.equal(whole.detail, '/1: The message does not fit the schema of "orders.*": it must be object.')
  const large = isProblem(t, await ask('POST', '/streams/orders/1', [1, 'x'.repeat(300_000)]), 413, 'event-too-large')
  t.match(large, { detail: /^\/1: A message of the body has 300002 bytes/, errors: [{ path: '/1' }] })
  t.strictSame((await ask('GET', '/streams/orders/1')).json(), [good.data])

  t.equal((await ask('PUT', '/streams/orders/2', 'a', 'text/plain')).statusCode, 201, 'texts have no schema')
})

await t.test(
  'a line of an upload to a finite topic is refused by its number, and the lines before it are stored',
  async (t) => {
    const { app, send } = await openApp(t, { schemas: schemaFile(t, SCHEMAS) })
    const { hub } = app
    const run = await hub.streams.create('orders.1', { contentType: 'application/json' })
    const lines = [good.data, '', good.data, bad.data, good.data].map((line) =>
      line === '' ? '' : JSON.stringify(line),
    )
    const answer = await send({
      method: 'POST',
      url: '/streams/orders/1',
      headers: { 'content-type': 'application/x-ndjson' },
      payload: lines.join('\n'),
    })
    const refused = isProblem(t, answer, 400, 'schema-mismatch')
    t.match(refused, {
      detail: 'Line 4: The message does not fit the schema of "orders.*": /total must be number.',
      errors: [{ path: '/total', message: 'must be number' }],
      line: 4,
      accepted: 2,
    })
    t.strictSame((await send({ url: '/streams/orders/1' })).json(), [good.data, good.data])
    await t.rejects(run.append(bad.data), {
      code: 'schema-mismatch',
      message: 'The message does not fit the schema of "orders.*": /total must be number.',
      errors: [{ path: '/total', message: 'must be number' }],
      index: undefined,
    })
  },
)

await t.test('a message of a finite topic has no type, which schemas by type refuse', async (t) => {
  const { app } = await openApp(t, { schemas: schemaFile(t, { jobs: { types: { created: true, deleted: true } } }) })
  const run = await app.hub.streams.create('jobs', { contentType: 'application/json' })
  await t.rejects(run.append(1), {
    message:
      'The message does not fit the schema of "jobs": it has no type, and must have one of "created", "deleted".',
  })
})

await t.test('the code of an application is refused with a HubError that has the paths', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET, schemas: schemaFile(t, SCHEMAS) })
  t.equal((await app.hub.publish('orders.1', { data: good.data })).duplicate, false)
  const refused = { name: 'HubError', code: 'schema-mismatch', errors: faults }
  await t.rejects(app.hub.publish('orders.1', { data: bad.data }), refused)
  await t.rejects(app.hub.publishAll([good, good, bad]), {
    ...refused,
    index: 2,
    message: 'events[2]: The event does not fit the schema of "orders.*": /data/total must be number.',
  })
  t.ok((await app.hub.publishAll([good])).length === 1)
  t.ok(HubError)
})

await t.test('a publisher checks the schemas that it is given', async (t) => {
  const schemas = schemaFile(t, SCHEMAS)
  const publisher = await openPublisher(`file:${t.testdir({})}/log`, { schemas })
  t.teardown(() => publisher.close())
  await publisher.publish('orders.1', { data: good.data })
  await t.rejects(publisher.publish('orders.1', { data: bad.data }), { code: 'schema-mismatch', errors: faults })
})

await t.test('a file that cannot be used stops the start', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(
    async () => app.register(fanfare, { log: 'memory', jwtSecret: SECRET, schemas: '/does/not/exist.json' }),
    { name: 'SettingsError', message: /"\/does\/not\/exist\.json": it cannot be read \(ENOENT\)\.$/ },
  )
  await t.rejects(openPublisher(`file:${t.testdir({})}`, { schemas: '/does/not/exist.json' }), SettingsError)
})

await t.test('the file and the refusal of docs/typed-topics.md are as the hub answers', async (t) => {
  const page = readFileSync(new URL('../../docs/typed-topics.md', import.meta.url), 'utf8')
  const [file, refusal] = [...page.matchAll(/```json\n([^]*?)```/g)].map(([, text]) => text!)
  const [, body] = /-d '(.*)'/.exec(page)!
  const { send } = await openApp(t, { schemas: schemaFile(t, file) })
  const answer = await send({
    method: 'POST',
    url: '/topics/orders.1/events',
    payload: body!,
    headers: { 'content-type': 'application/json' },
  })
  t.match(answer.json(), { ...(JSON.parse(refusal!) as object), requestId: /./ })
})
