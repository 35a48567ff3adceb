import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { TopicIndex } from '../../src/hub/topic-index.js'
import { matches } from '../../src/model/topic.js'

function found(index: TopicIndex<string>, topic: string): string[] {
  const values: string[] = []
  index.each(topic, (value) => void values.push(value))
  return values.sort()
}

await t.test('values are found by topic, by pattern, and by both', (t) => {
  const index = new TopicIndex<string>()
  index.add('a.b', 'exact')
  index.add('a.*', 'star')
  index.add('a.**', 'rest')
  index.add('**', 'all')
  index.add('a.b', 'both')
  index.add('*.b', 'both')
  t.strictSame(found(index, 'a.b'), ['all', 'both', 'both', 'exact', 'rest', 'star'])
  t.strictSame(found(index, 'a.c.d'), ['all', 'rest'])
  t.strictSame(found(index, 'b'), ['all'])
  t.strictSame(found(index, 'fanfare.b'), [])
  t.end()
})

await t.test('a value that is added twice under a pattern is found once, and gone after one delete', (t) => {
  const index = new TopicIndex<string>()
  for (const pattern of ['a', '*']) {
    index.add(pattern, 'x')
    index.add(pattern, 'x')
  }
  t.strictSame(found(index, 'a'), ['x', 'x'])
  index.delete('a', 'x')
  t.strictSame(found(index, 'a'), ['x'])
  index.delete('*', 'x')
  index.delete('*', 'x')
  index.delete('never.*', 'x')
  t.strictSame(found(index, 'a'), [])
  index.add('*', 'y')
  t.strictSame(found(index, 'a'), ['y'])
  t.end()
})

await t.test('the size is the number of distinct topics and patterns', (t) => {
  const index = new TopicIndex<string>()
  const steps: [change: 'add' | 'delete', pattern: string, value: string, size: number][] = [
    ['add', 'a', 'x', 1],
    ['add', 'a', 'y', 1],
    ['add', 'a.*', 'x', 2],
    ['add', 'a.*', 'x', 2],
    ['add', 'a.*', 'y', 2],
    ['add', 'a.**', 'y', 3],
    ['delete', 'a.*', 'x', 3],
    ['delete', 'a.*', 'x', 3],
    ['delete', 'a.*', 'y', 2],
    ['delete', 'a', 'x', 2],
    ['delete', 'a', 'y', 1],
    ['delete', 'never.*', 'y', 1],
    ['delete', 'a.**', 'y', 0],
  ]
  for (const [change, pattern, value, size] of steps) {
    index[change](pattern, value)
    t.equal(index.size, size, `${change} ${pattern} ${value}`)
  }
  t.end()
})

await t.test('the index finds the same values as matching each pattern', (t) => {
  const pattern = fc
    .tuple(
      fc.array(fc.constantFrom('a', 'b', 'fanfare', '*'), { maxLength: 3 }),
      fc.constantFrom('a', 'b', 'fanfare', '*', '**'),
    )
    .map(([start, last]) => [...start, last].join('.'))
  const topic = fc
    .array(fc.constantFrom('a', 'b', 'fanfare', 'c'), { minLength: 1, maxLength: 4 })
    .map((segments) => segments.join('.'))
  const value = fc.constantFrom('1', '2', '3')
  const step = fc.oneof(
    fc.tuple(fc.constant('add' as const), pattern, value),
    fc.tuple(fc.constant('delete' as const), pattern, value),
    fc.tuple(fc.constant('find' as const), topic, value),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const index = new TopicIndex<string>()
        const model = new Set<string>()
        for (const [verb, name, value] of steps) {
          if (verb === 'add') {
            index.add(name, value)
            model.add(`${name} ${value}`)
          } else if (verb === 'delete') {
            index.delete(name, value)
            model.delete(`${name} ${value}`)
          } else {
            const expected = [...model]
              .map((entry) => entry.split(' '))
              .filter(([pattern]) => matches(pattern!, name))
              .map(([, value]) => value!)
            same(found(index, name), expected.sort())
          }
        }
      }),
      { numRuns: 300 },
    ),
  )
  t.end()
})
