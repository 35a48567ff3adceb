import fc from 'fast-check'
import t from 'tap'
import { countsOf, Histogram } from '../../src/observe/histogram.js'

await t.test('each value is in the first bucket whose limit it does not exceed', (t) => {
  const histogram = new Histogram([1, 10, 100])
  for (const value of [0, 1, 1.5, 10, 99, 100.1, 1e9]) histogram.observe(value)
  t.strictSame(histogram.counts, [2, 2, 1, 2])
  t.equal(histogram.count, 7)
  t.equal(histogram.sum, 0 + 1 + 1.5 + 10 + 99 + 100.1 + 1e9)
  t.end()
})

await t.test('no value is lost, whatever the buckets', (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 50 })),
      fc.array(fc.integer({ min: 0, max: 60 })),
      (limits, values) => {
        const bounds = limits.sort((a, b) => a - b)
        const histogram = new Histogram(bounds)
        for (const value of values) histogram.observe(value)
        let below = 0
        bounds.forEach((bound, index) => {
          below += histogram.counts[index]!
          if (below !== values.filter((value) => value <= bound).length) throw new Error(`up to ${bound}: ${below}`)
        })
        return histogram.count === values.length
      },
    ),
  )
  t.end()
})

await t.test('counts begin at 0', (t) => {
  t.strictSame(countsOf(['a', 'b']), { a: 0, b: 0 })
  t.end()
})
