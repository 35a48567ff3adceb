import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Smallest } from '../../src/model/smallest.js'

await t.test('the smallest values are kept, as sorting would', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 10 }), (values, count) => {
        const smallest = new Smallest<number>(count, (a, b) => a - b)
        for (const value of values) smallest.add(value)
        const expected = values.toSorted((a, b) => a - b).slice(0, count)
        same(smallest.sorted(), expected)
        same(smallest.takes(-Infinity), true)
        same(smallest.takes(Infinity), expected.length < count)
      }),
    ),
  )
  t.end()
})
