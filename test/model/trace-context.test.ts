import fc from 'fast-check'
import t from 'tap'
import { ATTRIBUTES, encodeAttributes } from '../../src/model/attributes.js'
import { parseTraceparent, printTraceparent, readTracestate, withTrace } from '../../src/model/trace-context.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const PARENT = `00-${TRACE}-${SPAN}-01`
const hex = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
    .map((digits) => digits.map((digit) => digit.toString(16)).join(''))

await t.test('a valid traceparent is read, also one of a later version', (t) => {
  const ids = { traceId: TRACE, spanId: SPAN, flags: 1 }
  t.strictSame(parseTraceparent(PARENT), ids)
  t.strictSame(parseTraceparent(`cc-${TRACE}-${SPAN}-01`), ids)
  t.strictSame(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-the-future-brings`), ids)
  t.equal(printTraceparent(ids), PARENT)
  t.end()
})

await t.test('what is written is read again', (t) => {
  fc.assert(
    fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 255 }), (traceId, spanId, flags) => {
      fc.pre(/[1-9a-f]/.test(traceId) && /[1-9a-f]/.test(spanId))
      const read = parseTraceparent(printTraceparent({ traceId, spanId, flags }))
      return read?.traceId === traceId && read.spanId === spanId && read.flags === flags
    }),
  )
  t.end()
})

await t.test('an invalid traceparent is ignored', (t) => {
  for (const header of [
    undefined,
    '',
    'nonsense',
    `${PARENT} `,
    `${PARENT}-more`,
    `${PARENT}, ${PARENT}`,
    PARENT.toUpperCase(),
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}`,
    `0-${TRACE}-${SPAN}-01`,
    [PARENT],
    7,
  ])
    t.equal(parseTraceparent(header), undefined, JSON.stringify(header))
  fc.assert(fc.property(fc.string(), (text) => parseTraceparent(text) === undefined))
  t.end()
})

await t.test('a tracestate is printable and short', (t) => {
  t.equal(readTracestate('congo=t61rcWkgMzE,rojo=00f067'), 'congo=t61rcWkgMzE,rojo=00f067')
  for (const header of [undefined, '', 'a\nb', 'é=1', 'x'.repeat(513), ['a=1']])
    t.equal(readTracestate(header), undefined, JSON.stringify(header))
  t.end()
})

await t.test('the trace joins the attributes of the publisher, whose own traceparent wins', (t) => {
  const added = { traceparent: PARENT, tracestate: 'a=1' }
  const of = (attributes: object) => encodeAttributes(attributes, 'json')
  const read = (attributes: string | undefined) => JSON.parse(withTrace(attributes, added)) as unknown
  t.strictSame(read(undefined), added)
  t.strictSame(read(of({ lang: 'en' })), { ...added, lang: 'en' })
  t.strictSame(read(of({ tracestate: 'b=2' })), { traceparent: PARENT, tracestate: 'b=2' })
  t.strictSame(read(of({ traceparent: 'my own' })), { traceparent: 'my own' })
  t.strictSame(read(of({ a: '"traceparent":' })), { ...added, a: '"traceparent":' }, 'only a name counts')
  t.strictSame(JSON.parse(withTrace(undefined, { traceparent: PARENT })), { traceparent: PARENT })
  t.end()
})

await t.test('the trace never makes the attributes exceed their limits', (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.stringMatching(/^a[a-z0-9]{1,19}$/),
        fc.integer({ min: 1, max: 400 }).map((length) => 'é'.repeat(length)),
        { minKeys: 1, maxKeys: ATTRIBUTES.count },
      ),
      (attributes) => {
        let own: string | undefined
        try {
          own = encodeAttributes(attributes, 'json')
        } catch {
          return true // refused anyway
        }
        const all = JSON.parse(withTrace(own, { traceparent: PARENT, tracestate: 'a=1' })) as Record<string, string>
        encodeAttributes(all, 'json') // throws beyond the limits
        return Object.entries(attributes).every(([name, value]) => all[name] === value)
      },
    ),
  )
  const most = Object.fromEntries(Array.from({ length: ATTRIBUTES.count }, (_, n) => [`a${n}`, 'x']))
  const encoded = encodeAttributes(most, 'json')!
  t.equal(withTrace(encoded, { traceparent: PARENT }), encoded)
  t.end()
})
