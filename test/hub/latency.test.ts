/** The time from a publish until the sockets of all live streams have the event. */
import t from 'tap'
import { Latency } from '../../src/hub/latency.js'
import { Histogram, TIMES } from '../../src/observe/histogram.js'
import { monotonicNow } from '../../src/model/clock.js'

await t.test('an event counts once its round of the sweep is done', (t) => {
  const latency = new Latency()
  const since = monotonicNow() - 40
  latency.begin({ since, isSampled: true }, 2)
  latency.passed(1)
  t.strictSame(latency.take(), { p50: 0, p99: 0 }, 'not yet')
  latency.passed(2)
  const { p50, p99 } = latency.take()
  t.ok(p50 >= 39 && p99 >= p50 && p99 < monotonicNow() - since + 1, `${p50}, ${p99} ms`)
  t.end()
})

await t.test('events of later rounds wait', (t) => {
  const latency = new Latency()
  latency.begin({ since: monotonicNow() - 1_000, isSampled: true }, 1)
  latency.begin({ since: monotonicNow() - 5_000, isSampled: true }, 2)
  latency.passed(1)
  t.ok(latency.take().p99 < 3_000)
  latency.passed(5)
  t.ok(latency.take().p50 > 3_000)
  t.end()
})

await t.test('quantiles are those since the last call', (t) => {
  const latency = new Latency()
  latency.begin({ since: monotonicNow(), isSampled: true }, 1)
  latency.passed(1)
  t.ok(latency.take().p50 > 0, 'a time shorter than the unit counts as one unit')
  t.strictSame(latency.take(), { p50: 0, p99: 0 })
  t.end()
})

await t.test('the total has the sampled events only, the quantiles have all', (t) => {
  const total = new Histogram(TIMES)
  const latency = new Latency(total)
  latency.begin({ since: monotonicNow() - 5_000, isSampled: false }, 1)
  latency.begin({ since: monotonicNow() - 10, isSampled: true }, 1)
  latency.passed(1)
  t.equal(
    total.counts.reduce((sum, count) => sum + count),
    1,
  )
  t.ok(total.sum < 5)
  t.ok(latency.take().p99 >= 5_000)
  t.end()
})
