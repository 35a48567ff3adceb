import fc from 'fast-check'
import t from 'tap'
import { splitBatch, TOO_LONG } from '../../../src/routes/upload/batch-splitter.js'

function split(text: string): unknown[] {
  return [...splitBatch(Buffer.from(text), 1e6)].flatMap((part) =>
    part instanceof Buffer ? [JSON.parse(part.toString()) as unknown] : [],
  )
}

/** The same JSON with white space between all of its tokens. */
function spaced(text: string, space: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g, (token) => `${space}${token}${space}`)
}

await t.test('every event is found, for any contents and white space', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }),
        fc.constantFrom('', ' ', '\n\t', '\r\n  '),
        (events, space) => {
          const text = spaced(JSON.stringify({ events }), space)
          return JSON.stringify(split(text)) === JSON.stringify(events)
        },
      ),
      { numRuns: 300 },
    ),
  )
  t.strictSame(split('{"\\u0065vents":["a\\"],[\\\\",{"x":"]}"}]}'), ['a"],[\\', { x: ']}' }])
  t.end()
})

await t.test('an event that is too long is not returned', (t) => {
  const parts = splitBatch(Buffer.from('{"events":[1,"aaaaaaaaaaaaaaaa",2]}'), 10)
  t.strictSame([String(parts.next().value), parts.next().value], ['1', TOO_LONG])
  t.end()
})
