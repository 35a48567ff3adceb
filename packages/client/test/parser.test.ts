/** The client's parser and an independent one read the same from any stream, cut anywhere. */
import { createParser as createReference } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { createParser, type Block } from '../src/parser.js'

const LINES = ['data', 'event', 'id', 'retry', 'topic', '', ':', ': a comment', 'data:', 'id:', 'event:']
const line = fc.oneof(
  fc.constantFrom(...LINES),
  fc
    .tuple(fc.constantFrom('data', 'event', 'id', 'retry', 'topic', 'Data'), fc.constantFrom(':', ': ', ':  '))
    .chain(([field, colon]) => fc.string({ unit: 'grapheme', maxLength: 8 }).map((value) => field + colon + value))
    .map((text) => text.replace(/[\r\n]/g, '')),
  fc.constantFrom('id: a\0b', 'retry: 12', 'retry: 1x', 'data: {"a":1}'),
)
const text = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n')), { maxLength: 40 })
  .map((lines) => lines.flat().join(''))
const cuts = fc.array(fc.nat(), { maxLength: 20 })

function pieces(whole: string, at: readonly number[]): string[] {
  const places = [0, ...at.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return places.slice(1).map((end, i) => whole.slice(places[i], end))
}

await t.test('events, ids and retries', async (t) => {
  fc.assert(
    fc.property(text, cuts, (lines, at) => {
      const whole = `${lines}: a CR at the end could be half of a CRLF\n`
      const found: unknown[] = []
      const expected: unknown[] = []
      const parse = createParser(
        ({ id, event, data }) => data !== undefined && found.push({ id, event: event || undefined, data }),
        (retry) => found.push({ retry }),
      )
      const reference = createReference({
        onEvent: ({ id, event, data }) => expected.push({ id, event: event || undefined, data }),
        onRetry: (retry) => expected.push({ retry }),
      })
      for (const piece of pieces(whole, at)) parse(piece)
      reference.feed(whole)
      if (JSON.stringify(found) !== JSON.stringify(expected))
        throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

await t.test('the id of a block without data is told too', async (t) => {
  const blocks: Block[] = []
  createParser(
    (block) => blocks.push(block),
    () => undefined,
  )('id: 1\n\nevent: x\n\ndata: 2\n\n')
  t.strictSame(blocks, [{ id: '1' }, { data: '2' }])
})
