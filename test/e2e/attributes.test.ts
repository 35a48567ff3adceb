/** Attributes and bytes survive every way to publish and to read, and a restart. */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type EventInput, type FanfareHub, type HubEvent } from '../../src/index.js'
import { readCloudEvent } from '../helper/cloud-event.js'
import { post, request } from '../helper/http.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { ndjson } from '../helper/ndjson.js'
import { checkProblem } from '../helper/problem.js'
import { openStream } from '../helper/stream.js'
import { anyTopic, SECRET } from '../helper/token.js'

const bearer = anyTopic()
const MAX = 3_000
const TRACE = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte)
/** The maximum number and size of attributes. */
const MOST = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`a${n}`.padEnd(20, 'x'), '"\\é'.repeat(59)]))

type Sent = Omit<EventInput, 'bytes' | 'attributes'> & { bytes?: string; attributes?: Record<string, string> }

/** The published events, with bytes as base64. */
const EVENTS: Sent[] = [
  { data: { total: 12 } },
  { data: null, attributes: TRACE },
  { data: [1, 'é'], type: 'created', id: 'p1', attributes: { ...TRACE, datacontenttype: 'application/ld+json' } },
  { text: 'a\r\nb', attributes: { lang: 'zwölf "𝄞"' } },
  { text: '<a/>', type: 'page', attributes: { datacontenttype: 'application/xml; charset=utf-8' } },
  { bytes: '' },
  {
    bytes: Buffer.from(ALL_BYTES).toString('base64'),
    type: 'image',
    id: 'p2',
    attributes: { datacontenttype: 'image/png' },
  },
  { bytes: Buffer.alloc(MAX, 0xff).toString('base64'), attributes: MOST },
  { data: 'x', attributes: {} },
]

/** Returns an event as a page of history has it, without id and time. */
function inHistory({ type, attributes = {}, data, text, bytes }: Sent): object {
  return {
    topic: 'a',
    ...(type === undefined ? {} : { type }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    ...(bytes !== undefined ? { bytes } : text !== undefined ? { text } : { data }),
  }
}

/** Starts a hub in an application, with its log in a folder. */
async function start(t: Test, folder: string): Promise<{ app: FastifyInstance; hub: FanfareHub; url: string }> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, {
    log: `file:${folder}`,
    jwtSecret: SECRET,
    maxEventSize: MAX,
    nativeSockets: NATIVE_SOCKETS,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, hub: app.hub, url }
}

interface HistoryEvent {
  id: string
  time: string
}

async function readPage(url: string): Promise<HistoryEvent[]> {
  const { body } = await request<{ events: HistoryEvent[] }>(`${url}/topics/a/events`, {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
  return body.events
}

/** Reads the events of a stream, live or from the log. */
async function readStream(t: Test, url: string, format: string, query = 'replay=all') {
  const stream = await openStream(t, `${url}/topics/a/events?${query}&format=${format}`, { token: bearer })
  await stream.count(EVENTS.length)
  return stream.events
}

/** Reads the first events of a topic, as an application does. */
async function readEvents(hub: FanfareHub): Promise<HubEvent[]> {
  const events: HubEvent[] = []
  for await (const item of hub.events('a', { from: 'start' })) {
    if (item.gap) throw new Error('too few events arrive')
    if (events.push(item) === EVENTS.length) break
  }
  return events
}

/** Checks that every way to read returns all of `EVENTS`. */
async function hasAll(t: Test, { hub, url }: { hub: FanfareHub; url: string }): Promise<void> {
  const page = await readPage(url)
  t.strictSame(
    page,
    EVENTS.map((event, index) => ({ id: page[index]?.id, time: page[index]?.time, ...inHistory(event) })),
    'a page of history',
  )
  await isOnStreams(t, page, (format) => readStream(t, url, format))
  const events = await readEvents(hub)
  t.strictSame(
    events.map(({ bytes, ...event }) => (bytes ? { ...event, bytes: Buffer.from(bytes).toString('base64') } : event)),
    page,
    'events of the embedded API',
  )
  for (const { bytes } of events)
    t.ok(bytes === undefined || bytes.constructor === Uint8Array, 'bytes are a Uint8Array')
}

/** Checks that streams have the events of a page. */
async function isOnStreams(
  t: Test,
  page: readonly HistoryEvent[],
  read: (format: string) => Promise<readonly { type: string | undefined; data: string }[]>,
): Promise<void> {
  t.strictSame(
    (await read('json')).map(({ type, data }) => ({ type, data })),
    page.map((event) => ({ type: undefined, data: JSON.stringify(event) })),
    'json',
  )
  t.strictSame(
    (await read('raw')).map(({ type, data }) => ({ type, data })),
    EVENTS.map(({ type, data, text, bytes }) => ({
      type,
      data: bytes ?? text?.replace('\r\n', '\n') ?? JSON.stringify(data),
    })),
    'raw',
  )
  for (const [index, { data: line }] of (await read('cloudevents')).entries()) {
    const { data, text, bytes, type = 'message', attributes } = EVENTS[index]!
    const datacontenttype =
      bytes !== undefined ? 'application/octet-stream' : text !== undefined ? 'text/plain' : 'application/json'
    t.strictSame(readCloudEvent(line), {
      specversion: '1.0',
      id: page[index]!.id,
      source: '/topics/a',
      type,
      time: page[index]!.time,
      subject: 'a',
      datacontenttype,
      ...attributes,
      ...(bytes === undefined ? { data: text ?? data } : { data_base64: bytes }),
    })
  }
}

/** The ways to publish. */
const WAYS: [what: string, publish: (hub: { hub: FanfareHub; url: string }) => Promise<void>][] = [
  [
    'one by one',
    async ({ url }) => {
      for (const event of EVENTS) await posted(`${url}/topics/a/events`, event, 201)
    },
  ],
  ['as a batch', async ({ url }) => posted(`${url}/events`, { events: EVENTS.map(toTopic) }, 201)],
  [
    'as a batch that is parsed later',
    async ({ url }) =>
      posted(
        `${url}/events`,
        `{"events":[${' '.repeat(70_000)}${EVENTS.map((event) => JSON.stringify(toTopic(event))).join()}]}`,
        201,
      ),
  ],
  [
    'as NDJSON',
    async ({ url }) =>
      posted(`${url}/events`, ndjson(EVENTS.map(toTopic)), 200, { 'content-type': 'application/x-ndjson' }),
  ],
  [
    'as NDJSON in ASCII',
    async ({ url }) => {
      const lines = ndjson(EVENTS.map(toTopic)).replace(
        /[^\0-~]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
      await posted(`${url}/events`, lines, 200, { 'content-type': 'application/x-ndjson' })
    },
  ],
  [
    'by the embedded API',
    async ({ hub }) => {
      for (const { bytes, ...event } of EVENTS)
        await hub.publish('a', bytes === undefined ? event : { ...event, bytes: Buffer.from(bytes, 'base64') })
    },
  ],
  [
    'by the embedded API, several at once',
    async ({ hub }) => {
      await hub.publishAll(EVENTS.map(toTopic))
    },
  ],
]

function toTopic(event: Sent): Sent & { topic: string } {
  return { topic: 'a', ...event }
}

async function posted(url: string, body: unknown, status: number, headers: Record<string, string> = {}): Promise<void> {
  const answer = await post(url, body, bearer, headers)
  if (answer.status !== status) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`)
}

for (const [what, publish] of WAYS) {
  await t.test(what, async (t) => {
    const folder = `${t.testdir({})}/log`
    const first = await start(t, folder)
    const formats = ['json', 'raw', 'cloudevents']
    const live = await Promise.all(
      formats.map((format) => openStream(t, `${first.url}/topics/a/events?format=${format}`, { token: bearer })),
    )
    await Promise.all(live.map((stream) => stream.told('open')))
    await publish(first)
    await hasAll(t, first)
    await isOnStreams(t, await readPage(first.url), async (format) => {
      const stream = live[formats.indexOf(format)]!
      await stream.count(EVENTS.length)
      return stream.events
    })
    await first.app.close()
    await hasAll(t, await start(t, folder))
  })
}

await t.test('an event of one hub can be published to another unchanged', async (t) => {
  const folder = t.testdir({})
  const [one, other] = [await start(t, `${folder}/one`), await start(t, `${folder}/other`)]
  await WAYS[1]![1](one)
  for (const { topic, type, attributes, data, text, bytes } of await readEvents(one.hub))
    await other.hub.publish(topic, { type, attributes, data, text, bytes })
  await hasAll(t, other)
})

await t.test('an ephemeral event has its attributes and bytes', async (t) => {
  const { url } = await start(t, `${t.testdir({})}/log`)
  const stream = await openStream(t, `${url}/topics/a/events?format=cloudevents`, { token: bearer })
  await stream.told('open')
  await posted(`${url}/topics/a/events`, { bytes: 'AP8=', attributes: TRACE, ephemeral: true }, 202)
  await stream.count(1)
  const event = readCloudEvent(stream.events[0]!.data)
  t.match(event, { ...TRACE, datacontenttype: 'application/octet-stream', data_base64: 'AP8=', id: /-ephemeral-/ })
})

await t.test('invalid attributes and base64 are refused with an explanation, and change nothing', async (t) => {
  const { url } = await start(t, `${t.testdir({})}/log`)
  const wrong: [event: object, status: number, detail: RegExp, line: string][] = [
    [{ data: 1, attributes: { 'trace-parent': 'x' } }, 400, /"trace-parent" is not an attribute name/, 'invalid-event'],
    [{ data: 1, attributes: { subject: 'x' } }, 400, /no attribute "subject": CloudEvents reserves/, 'invalid-event'],
    [{ data: 1, attributes: { a: '' } }, 400, /The attribute "a" is a string of 1 to 1024/, 'invalid-event'],
    [{ data: 1, attributes: { a: 'x\ny' } }, 400, /The attribute "a" is a string of 1 to 1024/, 'invalid-event'],
    [{ data: 1, attributes: { ...MOST, one: 'x' } }, 400, /at most 16 attributes/, 'invalid-event'],
    [{ data: 1, attributes: { datacontenttype: 'image/png' } }, 400, /a media type of JSON/, 'invalid-event'],
    [{ bytes: 'AP8' }, 400, /"bytes" is not base64/, 'invalid-event'],
    [{ bytes: 'AA==', text: 'x' }, 400, /exactly one of "data"/, 'invalid-event'],
    [{ data: 1, attributes: { a: 7 } }, 400, /\/attributes\/a must be string/, 'invalid-shape'],
    [{ data: 1, attributes: ['a'] }, 400, /\/attributes must be object/, 'invalid-shape'],
    [{ bytes: [1, 2] }, 400, /\/bytes must be string/, 'invalid-shape'],
    [{ bytes: Buffer.alloc(MAX + 1).toString('base64') }, 413, /has 3001 bytes; at most 3000/, 'event-too-large'],
  ]
  for (const [event, status, detail, code] of wrong) {
    const inTopic = { topic: 'a', ...event }
    const answers = [
      await post(`${url}/topics/a/events`, event, bearer),
      await post(`${url}/events`, { events: [{ topic: 'a', data: 1 }, inTopic] }, bearer),
      await post(`${url}/events`, ndjson([inTopic]), bearer, { 'content-type': 'application/x-ndjson' }),
    ]
    for (const [index, answer] of answers.entries()) {
      const problem = checkProblem(t, answer, status, JSON.stringify(event).slice(0, 60))
      const expected = code === 'invalid-shape' ? (index === 2 ? 'invalid-line' : 'invalid-request') : code
      t.match(problem, { code: expected, detail })
    }
  }
  t.strictSame(await readPage(url), [])
})
