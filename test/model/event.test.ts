import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { checkEvent, checkEvents, isType, requireChecked, type EventInput } from '../../src/model/event.js'
import { show } from '../hub/show.js'

const MAX = 1_000

await t.test('an event has data, text or bytes', (t) => {
  t.same(checkEvent('a', { data: { total: 12 }, type: 'created', id: '1' }, MAX), {
    topic: 'a',
    type: 'created',
    id: '1',
    attributes: undefined,
    kind: 'json',
    payload: '{"total":12}',
    ephemeral: false,
  })
  t.same(checkEvent('a', { text: 'x\ny' }, MAX), {
    topic: 'a',
    type: undefined,
    id: undefined,
    attributes: undefined,
    kind: 'text',
    payload: 'x\ny',
    ephemeral: false,
  })
  t.same(checkEvent('a', { bytes: 'AP8=', attributes: { traceparent: '00', a: 'b' } }, MAX), {
    topic: 'a',
    type: undefined,
    id: undefined,
    attributes: '{"traceparent":"00","a":"b"}',
    kind: 'bytes',
    payload: 'AP8=',
    ephemeral: false,
  })
  t.match(checkEvent('a', { bytes: Uint8Array.of(0, 255) }, MAX), { kind: 'bytes', payload: 'AP8=' })
  t.match(checkEvent('a', { bytes: '' }, MAX), { kind: 'bytes', payload: '' })
  t.match(checkEvent('a', { text: '' }, MAX), { kind: 'text', payload: '' })
  t.match(checkEvent('a', { data: null, ephemeral: true }, MAX), { kind: 'json', payload: 'null', ephemeral: true })
  for (const data of [false, 0, '', [], {}, 'x\ny'])
    t.match(checkEvent('a', { data }, MAX), { kind: 'json', payload: JSON.stringify(data) })
  t.end()
})

await t.test('no payload, several payloads, or values that JSON cannot express are refused', (t) => {
  const circular: unknown[] = []
  circular.push(circular)
  const wrong: EventInput[] = [
    {},
    { data: 1, text: 'x' },
    { data: null, text: '' },
    { data: 1, bytes: '' },
    { text: 'x', bytes: 'AA==' },
    { data: 1, text: 'x', bytes: 'AA==' },
    { bytes: 'AA' },
    { data: undefined },
    { data: circular },
    { data: 1n },
    { data: () => 1 },
    { data: Symbol('x') },
  ]
  for (const input of wrong) t.throws(() => checkEvent('a', input, MAX), { code: 'invalid-event' })
  t.end()
})

await t.test('topics are checked', (t) => {
  t.throws(() => checkEvent('a.*', { data: 1 }, MAX), { code: 'invalid-topic' })
  t.throws(() => checkEvent('fanfare.stats', { data: 1 }, MAX), { code: 'reserved-topic' })
  t.end()
})

await t.test('types', (t) => {
  for (const type of [
    'a',
    'order created',
    ' x',
    'x ',
    ':',
    'fanfare',
    'fanfares.x',
    'Fanfare.x',
    'é𝄞',
    '\u2028',
    'x'.repeat(128),
    '𝄞'.repeat(128),
  ]) {
    t.equal(isType(type), true, show(type))
    t.equal(checkEvent('a', { data: 1, type }, MAX).type, type)
  }
  const wrong = [
    '',
    'fanfare.',
    'fanfare.open',
    'x'.repeat(129),
    '𝄞'.repeat(129),
    'a\nb',
    'a\rb',
    'a\0b',
    '\t',
    '\x7f',
    '\u0085',
    '\u009f',
    '\ufdd0',
    '\uffff',
    '\u{10ffff}',
    '\ud800',
    'x\n',
  ]
  for (const type of wrong) {
    t.equal(isType(type), false, show(type))
    t.throws(() => checkEvent('a', { data: 1, type }, MAX), {
      code: 'invalid-event',
      message: /is not a valid event type/,
    })
  }
  t.end()
})

await t.test('publisher ids', (t) => {
  for (const id of ['1', ' ', '~!"', 'x'.repeat(128)]) t.equal(checkEvent('a', { data: 1, id }, MAX).id, id)
  for (const id of ['', 'é', 'a\nb', '\t', '\x7f', 'x'.repeat(129), 'x\n'])
    t.throws(() => checkEvent('a', { data: 1, id }, MAX), {
      code: 'invalid-event',
      message: /is not a valid publisher id/,
    })
  t.end()
})

await t.test('a lone surrogate in a text is refused, in data it is escaped', (t) => {
  for (const text of ['\ud800', 'x\udc00', '\udc00\ud800'])
    t.throws(() => checkEvent('a', { text }, MAX), { code: 'invalid-event', message: /surrogate/ })
  t.equal(checkEvent('a', { data: '\ud800' }, MAX).payload, '"\\ud800"')
  t.equal(checkEvent('a', { text: '𝄞' }, MAX).payload, '𝄞')
  t.end()
})

await t.test('the size limit is that of the payload in UTF-8', (t) => {
  t.doesNotThrow(() => checkEvent('a', { text: 'x'.repeat(MAX) }, MAX))
  t.throws(() => checkEvent('a', { text: 'x'.repeat(MAX + 1) }, MAX), {
    code: 'event-too-large',
    message: 'The payload has 1001 bytes; at most 1000 are allowed.',
  })
  t.doesNotThrow(() => checkEvent('a', { text: '€'.repeat(333) }, MAX))
  t.throws(() => checkEvent('a', { text: '€'.repeat(334) }, MAX), { code: 'event-too-large' })
  t.doesNotThrow(() => checkEvent('a', { bytes: new Uint8Array(MAX) }, MAX), 'bytes count, not the base64 of bytes')
  t.throws(() => checkEvent('a', { bytes: new Uint8Array(MAX + 1) }, MAX), {
    code: 'event-too-large',
    message: 'The payload has 1001 bytes; at most 1000 are allowed.',
  })
  t.doesNotThrow(
    () => checkEvent('a', { text: 'x'.repeat(MAX), attributes: { a: 'x'.repeat(1_000) } }, MAX),
    'attributes do not count',
  )
  t.doesNotThrow(() => checkEvent('a', { data: 'x'.repeat(MAX - 2) }, MAX))
  t.throws(() => checkEvent('a', { data: 'x'.repeat(MAX - 1) }, MAX), { code: 'event-too-large' })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.nat(60), (text, max) => {
        let refused = false
        try {
          checkEvent('a', { text }, max)
        } catch {
          refused = true
        }
        same(refused, Buffer.byteLength(text) > max)
      }),
    ),
  )
  t.end()
})

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Values that a program without types may pass instead of an event. */
const NO_EVENTS: [what: string, input: unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['a number', 7],
  ['a text', 'x'],
  ['a function', () => 1],
  ['an array', []],
  ['an array of events', [{ data: 1 }]],
  ['id: null', { data: 1, id: null }],
  ['id: 7', { data: 1, id: 7 }],
  ['type: null', { data: 1, type: null }],
  ['type: []', { data: 1, type: ['x'] }],
  ['text: null', { text: null }],
  ['text: 7', { text: 7 }],
  ['text: a String', { text: Object('x') as unknown }],
  ['bytes: null', { bytes: null }],
  ['bytes: an array', { bytes: [1, 2] }],
  ['bytes: no base64', { bytes: 'x' }],
  ['attributes: null', { data: 1, attributes: null }],
  ['attributes: an array', { data: 1, attributes: ['a'] }],
  ['attributes: a bad name', { data: 1, attributes: { 'a-b': 'x' } }],
  ['attributes: a reserved name', { data: 1, attributes: { subject: 'x' } }],
  ['attributes: a bad value', { data: 1, attributes: { a: 7 } }],
  [
    'attributes: a getter that throws',
    {
      data: 1,
      attributes: {
        get a() {
          throw new Error('mine')
        },
      },
    },
  ],
  ['attributes: a proxy that is revoked', { data: 1, attributes: revokedProxy() }],
  ['bytes: a proxy that is revoked', { bytes: revokedProxy() }],
  ['ephemeral: null', { data: 1, ephemeral: null }],
  ['ephemeral: "true"', { data: 1, ephemeral: 'true' }],
  ['an unknown member', { data: 1, ephemerall: true }],
  ['another topic', { topic: 'b', data: 1 }],
  [
    'a getter that throws',
    {
      get data() {
        throw new Error('mine')
      },
    },
  ],
  [
    'a proxy that throws',
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('mine')
        },
      },
    ),
  ],
  [
    'a toJSON that throws',
    {
      data: {
        toJSON: () => {
          throw new Error('mine')
        },
      },
    },
  ],
  ['a NaN', { data: [NaN] }],
  ['data that is not JSON', { data: [1n] }],
]

await t.test('invalid events are refused with a HubError', (t) => {
  for (const [what, input] of [...NO_EVENTS, ['a proxy that is revoked', revokedProxy()] as const]) {
    t.throws(() => checkEvent('a', input as EventInput, MAX), { name: 'HubError', code: 'invalid-event' }, what)
    if (what !== 'another topic')
      t.throws(
        () => checkEvents([{ topic: 'a', data: 1 }, input as { topic: string }], MAX),
        { name: 'HubError', index: 1 },
        `${what} among others`,
      )
  }
  for (const topic of [undefined, null, 7, {}, ['a'], Object('a')])
    t.throws(
      () => checkEvent(topic as string, { data: 1 }, MAX),
      { name: 'HubError', code: 'invalid-topic' },
      show(String(topic)),
    )
  t.end()
})

await t.test('a list of events is an array of at most 1,000, without holes', (t) => {
  const good = { topic: 'a', data: 1 }
  t.strictSame(checkEvents([], MAX), [])
  t.equal(checkEvents(Array(1_000).fill(good), MAX).length, 1_000)
  t.throws(() => checkEvents(Array(1_001).fill(good), MAX), {
    name: 'HubError',
    code: 'invalid-event',
    message: /1000/,
  })
  const sparse = [good, good, good]
  Reflect.deleteProperty(sparse, 1)
  t.throws(() => checkEvents(sparse, MAX), { name: 'HubError', code: 'invalid-event', index: 1 })
  for (const inputs of [undefined, null, 7, 'ab', {}, { length: 1, 0: good }, new Set([good])])
    t.throws(() => checkEvents(inputs as unknown as [], MAX), { name: 'HubError', code: 'invalid-event' })
  const throwing = new Proxy([good], {
    get: () => {
      throw new Error('mine')
    },
  })
  t.throws(() => checkEvents(throwing, MAX), { name: 'HubError', code: 'invalid-event' })
  t.end()
})

await t.test('an event shares no mutable state with its publisher', (t) => {
  const bytes = Uint8Array.of(1, 2)
  const attributes = { a: 'x' }
  const event = checkEvent('a', { bytes, attributes }, MAX)
  bytes[0] = 9
  attributes.a = 'y'
  t.match(event, { payload: 'AQI=', attributes: '{"a":"x"}' })
  t.end()
})

await t.test('no other object passes as a CheckedEvent', (t) => {
  const checked = checkEvent('a', { data: 1 }, MAX)
  t.doesNotThrow(() => requireChecked([checked]))
  for (const events of [
    undefined,
    {},
    [Object.assign({}, checked)],
    [checked, Object.create(checked) as object],
    [null],
    [7],
    Array(1),
  ]) {
    t.throws(() => requireChecked(events as []), { name: 'HubError', code: 'invalid-event' })
  }
  t.end()
})
