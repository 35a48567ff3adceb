/** Traces of a hub in a process of its own: with an SDK that `node --import` loads, and without one. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readCloudEvent } from '../helper/cloud-event.js'
import { poll } from '../helper/deadline.js'
import { history, request, send } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()
const SDK = new URL('../helper/sdk.mjs', import.meta.url).href
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const headers = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`, tracestate: 'congo=t61' }

interface Span {
  name: string
  kind: number
  attributes: Record<string, unknown>
  status: { code: number }
  traceId: string
  spanId: string
  parent?: string
}

t.setTimeout(120_000)

/** Starts a hub with an SDK. Returns a function that waits for the spans with a name. */
async function startTraced(t: Test, env: Record<string, string> = {}) {
  const file = `${t.testdir({ spans: '' })}/spans`
  const hub = await startHub(t, { NODE_OPTIONS: `--import=${SDK}`, SPANS: file, ...env })
  const spans = (): Span[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Span)
  const named = (name: string, count: number) =>
    poll(
      async () => {
        const found = spans().filter((span) => span.name === name)
        return found.length >= count ? found : undefined
      },
      () => `the spans are ${JSON.stringify(spans())}`,
    )
  return { hub, spans, named }
}

/** Returns the attributes of the stored events of a topic. */
async function attributesOf(hub: Hub, topic: string): Promise<Record<string, string>[]> {
  const { body } = await history(hub, topic, 'limit=100', bearer)
  return body.events.map((event) => ('attributes' in event ? (event.attributes as Record<string, string>) : {}))
}

const publishTo = (hub: Hub, path: string, body: unknown, more: Record<string, string> = headers) =>
  send<{ id: string; code?: string }>(hub, 'POST', path, { token: bearer, headers: more, body })

await t.test('a publish is a span in the trace of its request, and its event carries this trace', async (t) => {
  const { hub, named, spans } = await startTraced(t)
  const raw = await openLive(t, streamUrl(hub, ['a']), { token: bearer })
  const clouds = await openLive(t, streamUrl(hub, ['a'], { format: 'cloudevents' }), { token: bearer })
  const json = await openLive(t, streamUrl(hub, ['a'], { format: 'json' }), { token: bearer })

  const accept = { accept: 'text/event-stream', authorization: `Bearer ${bearer}` }
  t.equal((await fetch(`${hub.url}/topics/a/events`, { method: 'HEAD', headers: accept })).status, 200)

  const { body } = await publishTo(hub, '/topics/a/events', { data: 1 })
  const [publish] = await named('publish', 1)
  t.match(publish, { traceId: TRACE_ID, parent: SPAN_ID, kind: 1, status: { code: 0 } })
  t.match(publish!.attributes, {
    'messaging.system': 'fanfare',
    'messaging.operation.name': 'publish',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'a',
    'messaging.message.id': body.id,
    'fanfare.duplicate': false,
    'fanfare.subscribers': 3,
  })
  const handedOn = { traceparent: `00-${TRACE_ID}-${publish!.spanId}-01`, tracestate: 'congo=t61' }
  t.strictSame(await attributesOf(hub, 'a'), [handedOn], 'history has the span as the parent')
  for (const stream of [raw, clouds, json]) await stream.count(1)
  t.match(readCloudEvent(clouds.events[0]!.data), handedOn, 'a CloudEvent has the trace as extension attributes')
  t.match(JSON.parse(json.events[0]!.data), { attributes: handedOn })
  t.equal(
    spans().filter(({ name }) => name === 'subscribe').length,
    3,
    'the spans of streams have ended, and HEAD has none',
  )
})

await t.test('batches, uploads and streams have one span each, and the span of a refusal has its code', async (t) => {
  const { hub, named } = await startTraced(t)
  const events = [
    { topic: 'b', data: 1 },
    { topic: 'b', data: 2, attributes: { traceparent: 'my own' } },
    { topic: 'b', data: 3, attributes: { lang: 'en' } },
  ]
  await publishTo(hub, '/events', { events })
  const [batch] = await named('publish batch', 1)
  t.match(batch, { traceId: TRACE_ID, parent: SPAN_ID, attributes: { 'messaging.batch.message_count': 3 } })
  const handedOn = { traceparent: `00-${TRACE_ID}-${batch!.spanId}-01`, tracestate: 'congo=t61' }
  t.strictSame(
    await attributesOf(hub, 'b'),
    [handedOn, { traceparent: 'my own' }, { ...handedOn, lang: 'en' }],
    "the publisher's own traceparent wins",
  )

  const upload = await request(`${hub.url}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/x-ndjson', traceparent: 'nonsense' },
    body: '{"topic":"c","data":1}\n{"topic":"c","text":"2"}\n',
  })
  t.equal(upload.status, 200, 'a bad traceparent is ignored')
  const [lines] = await named('publish upload', 1)
  t.match(lines, { attributes: { 'messaging.batch.message_count': 2 } })
  t.not(lines!.traceId, TRACE_ID)
  t.equal(lines!.parent, undefined)
  t.strictSame(
    (await attributesOf(hub, 'c')).map(({ traceparent }) => traceparent),
    Array.from({ length: 2 }, () => `00-${lines!.traceId}-${lines!.spanId}-01`),
  )

  await openStream(t, streamUrl(hub, ['a', 'b.*']), { token: bearer, headers })
  const [opened] = await named('subscribe', 1)
  t.match(opened, {
    traceId: TRACE_ID,
    parent: SPAN_ID,
    attributes: { 'messaging.operation.type': 'receive', 'fanfare.patterns': ['a', 'b.*'] },
  })

  t.match((await publishTo(hub, '/topics/a/events', { data: 1, text: 'b' })).body, { code: 'invalid-event' })
  const [refused] = await named('publish', 1)
  t.match(refused, { status: { code: 0 }, attributes: { 'error.type': 'invalid-event' } })
})

await t.test('requests that are refused before their work begins have a span too', async (t) => {
  const { hub, spans, named } = await startTraced(t)
  const refused = async (
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: string },
    name: string,
    code: string,
    attributes: object = {},
  ) => {
    const before = spans().length
    await fetch(`${hub.url}${path}`, { ...init, headers: { ...headers, ...init.headers } })
    const span = (await named(name, 1)).at(-1)
    t.equal(spans().length, before + 1, `${code}: one span`)
    t.match(span, {
      name,
      traceId: TRACE_ID,
      parent: SPAN_ID,
      kind: 1,
      status: { code: 0 },
      attributes: { 'error.type': code, ...attributes },
    })
  }
  const post = { method: 'POST', body: '{"data":1}' }
  const json = { 'content-type': 'application/json' }
  const authorization = `Bearer ${bearer}`
  const a = { 'messaging.destination.name': 'a' }
  await refused('/topics/a/events', { ...post, headers: json }, 'publish', 'missing-token', a)
  await refused(
    '/topics/a/events',
    { ...post, headers: { authorization, 'content-type': 'x/y' } },
    'publish',
    'unsupported-media-type',
  )
  await refused(
    '/topics/a/events',
    { ...post, headers: { ...json, authorization }, body: '{' },
    'publish',
    'invalid-json',
    a,
  )
  await refused('/topics/a..b/events', { ...post, headers: { ...json, authorization } }, 'publish', 'invalid-topic')
  await refused('/events', { ...post, headers: json }, 'publish batch', 'missing-token')
  await refused(
    '/events',
    { ...post, headers: { 'content-type': 'application/x-ndjson' } },
    'publish upload',
    'missing-token',
  )
  await refused('/topics/a/events', { headers: { accept: 'text/event-stream' } }, 'subscribe', 'missing-token', {
    'fanfare.patterns': ['a'],
  })
  await refused('/streams/a', { ...post, headers: { authorization } }, 'append', 'stream-not-found', a)
  await refused('/streams/a', { ...post }, 'append', 'missing-token', a)
  await refused('/streams/a', { method: 'PUT' }, 'create', 'missing-token', a)
  await refused('/streams/a?live=sse', { headers: { authorization } }, 'subscribe', 'invalid-offset')
})

await t.test(
  'the creation, the appends and the live reads of a finite topic have spans, and its messages carry their trace',
  async (t) => {
    const { hub, spans, named } = await startTraced(t)
    const call = (method: string, path: string, body?: string, more: Record<string, string> = {}) =>
      request(`${hub.url}/streams/${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'text/plain', ...headers, ...more },
        ...(body !== undefined && { body }),
      })
    await call('PUT', 'a', 'one')
    await call('POST', 'a', 'two')
    await call('POST', 'a', 'three', { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' })
    const [created] = await named('create', 1)
    const [second, third] = await named('append', 2)
    for (const span of [created, second, third])
      t.match(span, { traceId: TRACE_ID, parent: SPAN_ID, kind: 1, attributes: { 'messaging.destination.name': 'a' } })
    t.strictSame(
      await attributesOf(hub, 'a'),
      [created, second, third].map((span) => ({
        traceparent: `00-${TRACE_ID}-${span!.spanId}-01`,
        tracestate: 'congo=t61',
      })),
      'subscribers get the trace of each append, and not the note of its producer',
    )

    const stream = await openStream(t, `${hub.url}/streams/a?offset=-1&live=sse`, { token: bearer, headers })
    const polled = call('GET', 'a?offset=now&live=long-poll')
    const opened = await named('subscribe', 2)
    for (const span of opened)
      t.match(span, { traceId: TRACE_ID, parent: SPAN_ID, attributes: { 'fanfare.patterns': ['a'] } })
    await call('POST', 'a', undefined, { 'stream-closed': 'true' })
    await Promise.all([stream.closed, polled])
    await call('GET', 'a')
    await call('POST', 'a/cancel')
    t.strictSame(
      spans().map(({ name }) => name),
      ['create', 'append', 'append', 'subscribe', 'subscribe', 'append'],
      'a span does not include waiting, and other reads have no span',
    )
  },
)

await t.test('without an SDK the traceparent of the request is handed on', async (t) => {
  const hub = await startHub(t)
  await publishTo(hub, '/topics/a/events', { data: 1 })
  await publishTo(hub, '/topics/a/events', { data: 2 }, {})
  await publishTo(hub, '/topics/a/events', { data: 3 }, { traceparent: '00-zz' })
  await publishTo(hub, '/topics/a/events', { data: 4, attributes: { traceparent: 'my own' } })
  t.strictSame(await attributesOf(hub, 'a'), [headers, {}, {}, { traceparent: 'my own' }])
  const duplicate = { data: 5, id: 'x' }
  await publishTo(hub, '/topics/b/events', duplicate, {})
  t.equal((await publishTo(hub, '/topics/b/events', duplicate)).status, 200, 'a retry may have another trace')
})
