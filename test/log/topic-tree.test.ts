import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { PatternTree } from '../../src/model/pattern-tree.js'
import { matches } from '../../src/model/topic.js'
import { TopicTree } from '../../src/log/topic-tree.js'

const segment = fc.constantFrom('a', 'b', 'c', 'fanfare')
const topic = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'))
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([segments, rest]) => [...segments, ...(rest ? ['**'] : [])].join('.'))
const patterns = fc.array(fc.oneof(pattern, topic, fc.constant('**')), { maxLength: 6 })

function find(tree: TopicTree<string>, patterns: string[]): { found: string[]; steps: number } {
  const steps = [...tree.matching(new PatternTree(patterns))]
  return { found: steps.filter((value) => value !== undefined), steps: steps.length }
}

await t.test('each topic that matches a pattern is found once', (t) => {
  const change = fc.record({ topic, isThere: fc.boolean() })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), patterns, (changes, patterns) => {
        const tree = new TopicTree<string>()
        const model = new Set<string>()
        for (const { topic, isThere } of changes) {
          if (isThere) tree.set(topic, topic)
          else tree.delete(topic)
          model[isThere ? 'add' : 'delete'](topic)
        }
        same(
          find(tree, patterns).found.sort(),
          [...model].filter((topic) => patterns.some((pattern) => matches(pattern, topic))).sort(),
        )
      }),
      { numRuns: 2_000 },
    ),
  )
  t.end()
})

await t.test('branches that cannot match are not visited', (t) => {
  const tree = new TopicTree<string>()
  for (let n = 0; n < 20_000; n++) tree.set(`orders.${n}`, `orders.${n}`)
  for (let n = 0; n < 50; n++) tree.set(`users.${n}.inbox`, `users.${n}.inbox`)
  t.strictSame(
    find(
      tree,
      Array.from({ length: 100 }, (_, n) => `no${n}.*`),
    ),
    { found: [], steps: 0 },
  )
  t.match(find(tree, ['users.*.inbox']), { found: { length: 50 }, steps: 101 })
  t.match(find(tree, ['users.*.*', 'users.7.**', 'orders.7', 'orders.nobody']), { found: { length: 51 }, steps: 103 })
  for (let n = 0; n < 20_000; n++) tree.delete(`orders.${n}`)
  t.match(find(tree, ['**']), { found: { length: 50 }, steps: 101 }, 'deleted topics leave no steps')
  t.end()
})

await t.test(
  'topics that exist during the whole search are found, even if others are added and deleted meanwhile',
  (t) => {
    const tree = new TopicTree<string>()
    for (let n = 0; n < 100; n++) tree.set(`a.${n}.b`, `${n}`)
    const found: string[] = []
    let step = 0
    for (const value of tree.matching(new PatternTree(['a.**']))) {
      if (value !== undefined) found.push(value)
      const n = (step++ * 37) % 100
      if (n % 2 === 1) tree.delete(`a.${n}.b`)
      if (step < 500) tree.set(`a.new${step}`, 'new')
    }
    const even = Array.from({ length: 50 }, (_, n) => `${2 * n}`)
    t.strictSame(
      even.filter((value) => !found.includes(value)),
      [],
    )
    t.equal(
      new Set(found.filter((value) => value !== 'new')).size,
      found.filter((value) => value !== 'new').length,
      'no topic is found twice',
    )
    t.end()
  },
)
