import { deepStrictEqual as same } from 'node:assert'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { checkEvent, type EventInput } from '../../src/model/event.js'
import { closeBlock, drawRetry, Encoder, type Wire } from '../../src/wire/sse.js'
import { BatchWriter } from '../../src/wire/batch-writer.js'
import { Chunk } from '../../src/wire/chunk.js'
import { readCloudEvent } from '../helper/cloud-event.js'
import { anyInput } from '../hub/any-event.js'
import { parseStream } from '../hub/reference-parser.js'

const EPOCH = '8f3kq0zt'
const encoder = new Encoder(EPOCH)
const RAW: Wire = { format: 'raw', topicLine: false }
const RAW_WITH_TOPIC: Wire = { format: 'raw', topicLine: true }
const CLOUD: Wire = { format: 'cloudevents', topicLine: false }
const TIME = Date.UTC(2024, 1, 29, 12, 30, 15, 250)

function encode(input: EventInput, wire: Wire, sequence = 1042, topic = 'orders.42'): string {
  return encoder.event(checkEvent(topic, input, 1e9), wire, sequence, TIME, encoder.cursor(sequence)).toString()
}

await t.test('an event has its cursor, type, data, and optionally its topic', (t) => {
  t.equal(
    encode({ data: { total: 12 }, type: 'created' }, RAW),
    'id: 8f3kq0zt-1042\nevent: created\ndata: {"total":12}\n\n',
  )
  t.equal(encode({ data: { total: 12 } }, RAW), 'id: 8f3kq0zt-1042\ndata: {"total":12}\n\n')
  t.equal(
    encode({ data: { total: 12 }, type: 'created' }, RAW_WITH_TOPIC),
    'id: 8f3kq0zt-1042\nevent: created\ntopic: orders.42\ndata: {"total":12}\n\n',
  )
  t.end()
})

await t.test('an ephemeral event has no id', (t) => {
  t.equal(encoder.event(checkEvent('a', { data: 1 }, 99), RAW, undefined, TIME, 'an-id').toString(), 'data: 1\n\n')
  t.equal(
    encoder.event(checkEvent('a', { data: 1, type: 'x' }, 99), RAW_WITH_TOPIC, undefined, TIME, 'an-id').toString(),
    'event: x\ntopic: a\ndata: 1\n\n',
  )
  t.end()
})

await t.test('a JSON string keeps its quotes, and a text has none', (t) => {
  t.equal(encode({ data: 'a\nb' }, RAW), 'id: 8f3kq0zt-1042\ndata: "a\\nb"\n\n')
  t.equal(encode({ text: '"a" ' }, RAW), 'id: 8f3kq0zt-1042\ndata: "a" \n\n')
  t.equal(encode({ text: '' }, RAW), 'id: 8f3kq0zt-1042\ndata: \n\n')
  t.end()
})

await t.test('CR, LF and CRLF in a text each start a new data line', (t) => {
  t.equal(
    encode({ text: 'a\nb\rc\r\nd\n\re' }, RAW),
    'id: 8f3kq0zt-1042\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n',
  )
  t.equal(encode({ text: '\nid: 7\n\n' }, RAW), 'id: 8f3kq0zt-1042\ndata: \ndata: id: 7\ndata: \ndata: \n\n')
  t.end()
})

await t.test('a CloudEvent is one line of JSON with all attributes', (t) => {
  const dataOf = (block: string) => readCloudEvent(/^data: (.*)$/m.exec(block)![1]!)
  const attributes = {
    specversion: '1.0',
    id: '8f3kq0zt-1042',
    source: '/topics/orders.42',
    time: '2024-02-29T12:30:15.250Z',
    subject: 'orders.42',
  }
  t.strictSame(dataOf(encode({ data: { total: 12 }, type: 'created' }, CLOUD)), {
    ...attributes,
    type: 'created',
    datacontenttype: 'application/json',
    data: { total: 12 },
  })
  t.strictSame(dataOf(encode({ text: 'a\r\nb' }, CLOUD)), {
    ...attributes,
    type: 'message',
    datacontenttype: 'text/plain',
    data: 'a\r\nb',
  })
  t.strictSame(dataOf(encode({ data: null }, CLOUD)), {
    ...attributes,
    type: 'message',
    datacontenttype: 'application/json',
    data: null,
  })
  t.strictSame(dataOf(encode({ bytes: 'AP8=' }, CLOUD)), {
    ...attributes,
    type: 'message',
    datacontenttype: 'application/octet-stream',
    data_base64: 'AP8=',
  })
  t.match(
    encode({ data: 1, type: 'created' }, { format: 'cloudevents', topicLine: true }),
    /^id: 8f3kq0zt-1042\nevent: created\ntopic: orders.42\ndata: \{"specversion":[^\n]*\}\n\n$/,
  )
  t.match(dataOf(encoder.event(checkEvent('a', { data: 1 }, 99), CLOUD, undefined, TIME, 'an-id').toString()), {
    id: 'an-id',
  })
  t.end()
})

await t.test('the attributes of an event are extension attributes of its CloudEvent', (t) => {
  const dataOf = (input: EventInput) => {
    const { specversion, id, source, time, subject, type, ...rest } = readCloudEvent(
      /^data: (.*)$/m.exec(encode(input, CLOUD))![1]!,
    )
    t.strictSame(
      [specversion, id, source, subject, type],
      ['1.0', '8f3kq0zt-1042', '/topics/orders.42', 'orders.42', 'message'],
    )
    t.equal(time, '2024-02-29T12:30:15.250Z')
    return rest
  }
  t.strictSame(dataOf({ data: 1, attributes: { traceparent: '00-0af7', a: '"\\' } }), {
    datacontenttype: 'application/json',
    traceparent: '00-0af7',
    a: '"\\',
    data: 1,
  })
  t.strictSame(
    dataOf({ text: '<a/>', attributes: { a: 'x', datacontenttype: 'application/xml' } }),
    { a: 'x', datacontenttype: 'application/xml', data: '<a/>' },
    "the publisher's content type is the only one",
  )
  t.strictSame(dataOf({ bytes: 'AP8=', attributes: { datacontenttype: 'image/png' } }), {
    datacontenttype: 'image/png',
    data_base64: 'AP8=',
  })
  t.strictSame(
    dataOf({ text: 'x', attributes: { a: ',"datacontenttype":"application/json"' } }),
    { datacontenttype: 'text/plain', a: ',"datacontenttype":"application/json"', data: 'x' },
    'no value is mistaken for an attribute',
  )
  t.strictSame(dataOf({ data: { a: 1 }, attributes: { datacontenttype: 'application/ld+json' } }), {
    datacontenttype: 'application/ld+json',
    data: { a: 1 },
  })
  t.end()
})

await t.test('in the raw format bytes are base64, and attributes are not sent', (t) => {
  const head = 'id: 8f3kq0zt-1042\nevent: shot\n'
  t.equal(encode({ bytes: 'AP8=', type: 'shot', attributes: { a: 'x' } }, RAW), `${head}data: AP8=\n\n`)
  t.equal(encode({ bytes: '', type: 'shot' }, RAW), `${head}data: \n\n`)
  t.equal(encode({ data: 1, type: 'shot', attributes: { a: 'x' } }, RAW), `${head}data: 1\n\n`)
  t.end()
})

await t.test('a stored event has the same bytes as a published one', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyInput(), fc.constantFrom('raw', 'json', 'cloudevents'), (input, format) => {
        const wire: Wire = { format, topicLine: true }
        const event = checkEvent('orders.42', input, 1e9)
        const { topic, type, id, attributes, kind } = event
        const payload = Buffer.from(event.payload, kind === 'bytes' ? 'base64' : 'utf8')
        const batch = new BatchWriter(Buffer.alloc(64 * 1024))
        same(
          encoder.append(batch, { topic, type, id, attributes, kind, payload, sequence: 1042, time: TIME }, wire),
          true,
        )
        same(batch.chunk().toString(), encode(input, wire))
      }),
    ),
  )
  t.end()
})

await t.test('with format=json an event is a line of JSON in the form of history, without event: line', (t) => {
  const json: Wire = { format: 'json', topicLine: false }
  const id = '8f3kq0zt-1042'
  const time = '2024-02-29T12:30:15.250Z'
  t.equal(
    encode({ data: { total: 12 }, type: 'created' }, json),
    `id: ${id}\ndata: {"id":"${id}","topic":"orders.42","type":"created","time":"${time}","data":{"total":12}}\n\n`,
  )
  t.equal(
    encode({ text: 'a\r\n"b"' }, json),
    `id: ${id}\ndata: {"id":"${id}","topic":"orders.42","time":"${time}","text":"a\\r\\n\\"b\\""}\n\n`,
  )
  t.equal(
    encode({ bytes: 'AP8=', type: 'shot', attributes: { a: '"', b: 'x' } }, json),
    `id: ${id}\ndata: {"id":"${id}","topic":"orders.42","type":"shot","time":"${time}","attributes":{"a":"\\"","b":"x"},"bytes":"AP8="}\n\n`,
  )
  t.equal(
    encode({ data: null }, { format: 'json', topicLine: true }),
    `id: ${id}\ntopic: orders.42\ndata: {"id":"${id}","topic":"orders.42","time":"${time}","data":null}\n\n`,
  )
  t.equal(
    encoder.event(checkEvent('a', { data: 1 }, 99), json, undefined, TIME, 'an-id').toString(),
    `data: {"id":null,"topic":"a","time":"${time}","data":1}\n\n`,
    'an ephemeral event has no cursor',
  )
  const replayed = encoder.events(
    [Object.assign(checkEvent('a', { data: 1 }, 99), { sequence: 7, time: TIME })],
    json,
    false,
  )
  t.equal(
    replayed.toString(),
    `data: {"id":"8f3kq0zt-7","topic":"a","time":"${time}","data":1}\n\n`,
    'a replayed event has its cursor only in the data',
  )
  t.end()
})

await t.test('the blocks of the hub', (t) => {
  t.equal(
    encoder.open('8f3kq0zt-1041', 'c1', ['orders.42', '**'], 2871).toString(),
    'retry: 2871\nid: 8f3kq0zt-1041\nevent: fanfare.open\ndata: {"connection":"c1","topics":["orders.42","**"]}\n\n',
  )
  t.equal(
    encoder.gap('expired', '8f3kq0zt-12', 900).toString(),
    'event: fanfare.gap\ndata: {"reason":"expired","after":"8f3kq0zt-12","oldest":"8f3kq0zt-900"}\n\n',
  )
  t.equal(
    encoder.gap('invalid', 'a\r\nid: 1\n\n', undefined).toString(),
    'event: fanfare.gap\ndata: {"reason":"invalid","after":"a\\r\\nid: 1\\n\\n","oldest":null}\n\n',
  )
  t.equal(encoder.live(1042).toString(), 'id: 8f3kq0zt-1042\nevent: fanfare.live\ndata: {}\n\n')
  t.equal(closeBlock('drain', 3210).toString(), 'retry: 3210\nevent: fanfare.close\ndata: {"reason":"drain"}\n\n')
  t.equal(
    closeBlock('busy', 7001).toString(),
    'retry: 7001\nevent: fanfare.close\ndata: {"reason":"busy","retry":7001}\n\n',
  )
  t.end()
})

await t.test('a heartbeat is an event of the hub with data, and moves the last event id', (t) => {
  t.equal(encoder.heartbeat(2048).toString(), 'id: 8f3kq0zt-2048\nevent: fanfare.heartbeat\ndata: {}\n\n')
  t.strictSame(parseStream(Chunk.join([encoder.live(1), encoder.heartbeat(2048)]).plain).at(-1), {
    event: { type: 'fanfare.heartbeat', data: '{}' },
    id: '8f3kq0zt-2048',
    lastEventId: '8f3kq0zt-2048',
    retry: undefined,
    comments: [],
    extra: {},
  })
  t.end()
})

await t.test('retry is random: 2 to 4 s, or 5 to 15 s for busy', (t) => {
  const draws = Array.from({ length: 5_000 }, () => drawRetry())
  t.ok(draws.every((retry) => Number.isInteger(retry) && retry >= 2_000 && retry <= 4_000))
  t.ok(Math.min(...draws) < 2_100 && Math.max(...draws) > 3_900, 'over the whole range')
  const busy = Array.from({ length: 5_000 }, () => drawRetry(true))
  t.ok(busy.every((retry) => Number.isInteger(retry) && retry >= 5_000 && retry <= 15_000))
  t.ok(Math.min(...busy) < 5_500 && Math.max(...busy) > 14_500, 'over the whole range')
  t.end()
})

/** Feeds a parser the bytes in pieces, cut anywhere, even within a character. */
function parseInPieces(bytes: Uint8Array, cuts: readonly number[]): { events: EventSourceMessage[]; errors: string[] } {
  const events: EventSourceMessage[] = []
  const errors: string[] = []
  const parser = createParser({
    onEvent: (event) => void events.push(event),
    onError: (error) => {
      if (error.type !== 'unknown-field' || error.field !== 'topic') errors.push(error.message)
    },
  })
  const decoder = new TextDecoder()
  const offsets = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (const [index, end] of offsets.slice(1).entries())
    parser.feed(decoder.decode(bytes.subarray(offsets[index], end), { stream: true }))
  return { events, errors }
}

/** The event as EventSource must parse it. */
function expected({ text, data, bytes, type }: EventInput) {
  if (bytes !== undefined) return { type: type ?? 'message', data: base64Of(bytes) }
  return { type: type ?? 'message', data: text === undefined ? JSON.stringify(data) : text.replace(/\r\n?/g, '\n') }
}

function base64Of(bytes: Uint8Array | string): string {
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('base64')
}

await t.test('any published event passes a parser unchanged, and as one event', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(anyInput(), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 10 }),
        (inputs, topicLine, cuts) => {
          const wire: Wire = { format: 'raw', topicLine }
          const blocks = inputs.map((input, index) => Buffer.from(encode(input, wire, index + 1)))
          const bytes = Buffer.concat([encoder.open('8f3kq0zt-0', 'c1', ['a'], 2_000).plain, ...blocks])
          const wanted = inputs.map((input, index) => ({ id: `${EPOCH}-${index + 1}`, ...expected(input) }))

          const { events, errors } = parseInPieces(bytes, cuts)
          same(errors, [])
          same(
            events.slice(1).map(({ id, event = 'message', data }) => ({ id, type: event, data })),
            wanted,
          )

          const reference = parseStream(bytes)
          same(
            reference.slice(1).map(({ lastEventId, event }) => ({ id: lastEventId, ...event })),
            wanted,
          )
          same(
            reference.slice(1).map(({ extra, comments, retry }) => [extra, comments, retry]),
            inputs.map(() => [topicLine ? { topic: 'orders.42' } : {}, [], undefined]),
          )
        },
      ),
      { numRuns: 1_000 },
    ),
  )
  t.end()
})

await t.test('any published event passes a CloudEvent unchanged, including line ends', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyInput(), fc.boolean(), fc.array(fc.nat(), { maxLength: 4 }), (input, topicLine, cuts) => {
        const bytes = Buffer.concat([
          encoder.open('8f3kq0zt-0', 'c1', ['a'], 2_000).plain,
          Buffer.from(encode(input, { format: 'cloudevents', topicLine })),
        ])
        const { events, errors } = parseInPieces(bytes, cuts)
        same(errors, [])
        same(events.length, 2)
        same(events[1]!.event, input.type)
        const cloudEvent = readCloudEvent(events[1]!.data)
        if (input.bytes === undefined)
          same(JSON.stringify(cloudEvent['data']), JSON.stringify(input.text ?? input.data))
        else same(cloudEvent['data_base64'], base64Of(input.bytes))
        same(cloudEvent['type'], input.type ?? 'message')
        for (const [name, value] of Object.entries(input.attributes ?? {})) same(cloudEvent[name], value)
      }),
      { numRuns: 500 },
    ),
  )
  t.end()
})

await t.test('any last event id of a client appears in a gap as one event', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (after) => {
        const [block, ...rest] = parseStream(encoder.gap('invalid', after, undefined).plain)
        same(rest, [])
        same(block!.event!.type, 'fanfare.gap')
        same(JSON.parse(block!.event!.data), { reason: 'invalid', after, oldest: null })
      }),
    ),
  )
  t.end()
})
