import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { PatternTree } from '../../src/model/pattern-tree.js'
import { matches } from '../../src/model/topic.js'

const segment = fc.constantFrom('a', 'b', 'c', 'fanfare')
const topic = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'))
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([segments, rest]) => [...segments, ...(rest ? ['**'] : [])].join('.'))
const patterns = fc.array(fc.oneof(pattern, topic, fc.constant('**')), { maxLength: 6 })

await t.test('the tree has the topics that a pattern matches', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(patterns, topic, (patterns, topic) =>
        same(
          new PatternTree(patterns).has(topic),
          patterns.some((pattern) => matches(pattern, topic)),
        ),
      ),
      { numRuns: 2_000 },
    ),
  )
  t.end()
})
