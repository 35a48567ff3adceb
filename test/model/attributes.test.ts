import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ATTRIBUTES, encodeAttributes, hasContentType } from '../../src/model/attributes.js'
import { anyAttributes } from '../hub/any-event.js'
import { show } from '../hub/show.js'

/** Checks that attributes are refused with this message. */
function refused(t: Test, attributes: unknown, message: RegExp | string, what = show(JSON.stringify(attributes))) {
  t.throws(() => encodeAttributes(attributes, 'bytes'), { name: 'HubError', code: 'invalid-event', message }, what)
}

await t.test('attributes become compact JSON, in the order of the object', (t) => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  t.equal(
    encodeAttributes({ traceparent, a1: 'zwölf "𝄞"' }, 'json'),
    `{"traceparent":"${traceparent}","a1":"zwölf \\"𝄞\\""}`,
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyAttributes(), (attributes) => {
        const json = encodeAttributes(attributes, 'json')
        t.strictSame(json === undefined ? {} : JSON.parse(json), attributes)
      }),
    ),
  )
  t.end()
})

await t.test('no attributes become undefined, and undefined values are left out', (t) => {
  t.equal(encodeAttributes({}, 'json'), undefined)
  t.equal(encodeAttributes({ a: undefined }, 'json'), undefined)
  t.equal(encodeAttributes({ 'No-Name': undefined, a: undefined, b: 'x' }, 'json'), '{"b":"x"}')
  t.equal(encodeAttributes(Object.create(null), 'json'), undefined)
  t.equal(encodeAttributes(Object.create({ inherited: 'x' }), 'json'), undefined)
  t.equal(encodeAttributes({ [Symbol('a')]: 'x' }, 'json'), undefined)
  t.end()
})

await t.test('values other than an object of strings are refused', (t) => {
  for (const [attributes, found] of [
    [null, 'null'],
    [7, '7'],
    ['a', '"a"'],
    [true, 'true'],
    [[], 'an array'],
    [[['a', 'b']], 'an array'],
    [new Map([['a', 'b']]), 'an object of another kind'],
    [new Headers({ a: 'b' }), 'an object of another kind'],
    [new Date(0), 'an object of another kind'],
    [() => ({}), 'function'],
    [Symbol('a'), 'symbol'],
    [1n, 'bigint'],
  ] as const)
    refused(t, attributes, `"attributes" is an object of strings, not ${found}.`, found)
  t.end()
})

await t.test('names follow CloudEvents: 1 to 20 characters of a-z and 0-9', (t) => {
  for (const name of [
    'a',
    '7',
    '0a',
    'traceparent',
    'constructor',
    'x'.repeat(ATTRIBUTES.name),
    'topic',
    'bytes',
    'text',
  ])
    t.equal(encodeAttributes({ [name]: 'x' }, 'json'), `{"${name}":"x"}`)
  for (const name of [
    '',
    'A',
    'traceParent',
    'trace-parent',
    'trace_parent',
    'data_base64',
    'a.b',
    'a b',
    ' a',
    'a\n',
    'é',
    '__proto__',
    'x'.repeat(ATTRIBUTES.name + 1),
  ])
    refused(
      t,
      JSON.parse(`{${JSON.stringify(name)}:"x"}`),
      `${JSON.stringify(name)} is not an attribute name: 1 to 20 characters of a-z and 0-9.`,
    )
  t.end()
})

await t.test('names that CloudEvents reserves are refused with the reason', (t) => {
  // the core attributes of CloudEvents 1.0 except datacontenttype, and data
  for (const name of ['id', 'source', 'specversion', 'type', 'dataschema', 'subject', 'time', 'data'])
    refused(
      t,
      { ok: 'x', [name]: 'x' },
      `An event has no attribute "${name}": CloudEvents reserves this name, and the hub alone may write it.`,
    )
  t.end()
})

await t.test('values are CloudEvents strings: 1 to 1,024 characters without control characters', (t) => {
  for (const value of [' ', 'é', '𝄞'.repeat(1_000), '\u2028', '\ufeff', '\ue000', '\ufffd', 'x'.repeat(1_024), '"\\'])
    t.strictSame(JSON.parse(encodeAttributes({ a: value }, 'json')!), { a: value })
  const wrong: unknown[] = [
    '',
    'x'.repeat(1_025),
    '𝄞'.repeat(1_025),
    'a\nb',
    'a\n',
    '\r',
    '\t',
    '\0',
    '\x1f',
    '\x7f',
    '\u0080',
    '\u009f',
    '\ud800',
    'a\udc00',
    '\ufdd0', // noncharacters
    '\ufffe',
    '\uffff',
    '\u{1fffe}',
    '\u{10ffff}',
    null,
    7,
    true,
    {},
    ['x'],
    Object('x'),
  ]
  for (const value of wrong) {
    refused(
      t,
      { ok: 'x', trace: value },
      /^The attribute "trace" is a string of 1 to 1024 characters without control characters, noncharacters and lone surrogates, not /,
    )
  }
  t.end()
})

await t.test('an event has at most 16 attributes, of 4,096 bytes together', (t) => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, 'x']))
  t.strictSame(JSON.parse(encodeAttributes(many(16), 'json')!), many(16))
  refused(t, many(17), 'An event has at most 16 attributes.')
  refused(t, many(10_000), 'An event has at most 16 attributes.', 'very many')
  const large = { a: 'x'.repeat(1_023), b: '€'.repeat(341), c: 'é'.repeat(511), dd: 'y'.repeat(1_022) }
  t.equal(Buffer.byteLength(Object.entries(large).flat().join('')), 4_095)
  t.strictSame(JSON.parse(encodeAttributes({ ...large, dd: 'y'.repeat(1_023) }, 'json')!), {
    ...large,
    dd: 'y'.repeat(1_023),
  })
  refused(
    t,
    { ...large, dd: 'y'.repeat(1_024) },
    'The attributes of an event have at most 4096 bytes, names and values together, and these have 4097.',
  )
  t.end()
})

await t.test('datacontenttype is a media type', (t) => {
  for (const datacontenttype of [
    'image/png',
    'application/x-protobuf',
    'text/html; charset=utf-8',
    'text/html;charset="utf-8"',
    'multipart/form-data; boundary="a \\" b"; x=y',
    'application/vnd.acme+xml',
    'a/b',
  ]) {
    const json = JSON.stringify({ datacontenttype })
    t.equal(encodeAttributes({ datacontenttype }, 'bytes'), json)
    t.equal(encodeAttributes({ datacontenttype }, 'text'), json)
  }
  for (const datacontenttype of [
    'png',
    '/png',
    'image/',
    'image/png/x',
    'image /png',
    'image/png;',
    'image/png; charset',
    'image/png; charset=',
    'image/png; charset="a',
    'image/png, image/gif',
    ' image/png',
    'image/png ',
    'ïmage/png',
  ])
    refused(
      t,
      { datacontenttype },
      `The attribute "datacontenttype" is a media type such as "image/png", not ${JSON.stringify(datacontenttype)}.`,
    )
  t.end()
})

await t.test('datacontenttype fits the payload: JSON for data, other types for text, any for bytes', (t) => {
  const JSON_TYPES = [
    'application/json',
    'text/json',
    'application/ld+json',
    'APPLICATION/JSON; charset=utf-8',
    'a/b+JSON',
  ]
  for (const datacontenttype of JSON_TYPES) {
    for (const kind of ['json', 'bytes'] as const)
      t.equal(encodeAttributes({ datacontenttype }, kind), JSON.stringify({ datacontenttype }))
    t.throws(() => encodeAttributes({ datacontenttype }, 'text'), {
      code: 'invalid-event',
      message: `The attribute "datacontenttype" of "text" is no media type of JSON, such as ${JSON.stringify(datacontenttype)}: publish JSON as "data" or "bytes".`,
    })
  }
  for (const datacontenttype of ['text/plain', 'image/png', 'application/json-seq', 'application/x; a=b+json']) {
    t.throws(() => encodeAttributes({ datacontenttype }, 'json'), {
      code: 'invalid-event',
      message: `The attribute "datacontenttype" of "data" is a media type of JSON, not ${JSON.stringify(datacontenttype)}: publish other content as "text" or "bytes".`,
    })
  }
  t.end()
})

await t.test('the presence of datacontenttype is found, whatever the other values contain', (t) => {
  t.equal(hasContentType(encodeAttributes({ a: 'x', datacontenttype: 'image/png' }, 'bytes')!), true)
  for (const value of [
    '"datacontenttype":',
    ',"datacontenttype":"x"',
    '{"datacontenttype":"x"}',
    '\\"datacontenttype":',
  ])
    t.equal(hasContentType(encodeAttributes({ a: value }, 'bytes')!), false, value)
  t.equal(hasContentType('{"xdatacontenttype":"x"}'), false)
  t.end()
})
