/** The client matches topics as the hub does. */
import fc from 'fast-check'
import t from 'tap'
import { matches } from '../../../src/model/topic.js'
import { matcherOf } from '../src/topic.js'

const segment = fc.constantFrom('a', 'b', 'fanfare', 'x-y', 'u:1@z~')
const topic = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'))
const pattern = fc
  .tuple(
    fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 1, maxLength: 3 }),
    fc.constantFrom([], ['**'], ['*']),
  )
  .map(([head, tail]) => [...head, ...tail].join('.'))

await t.test('every pattern and topic', async (t) => {
  fc.assert(
    fc.property(fc.oneof(pattern, fc.constant('**')), topic, (pattern, topic) => {
      if (matcherOf(pattern)(topic) !== matches(pattern, topic)) throw new Error(`${pattern} and ${topic}`)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
