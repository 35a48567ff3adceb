/** The time from a publish until the sockets of all live streams have the event. */
import t from 'tap'
import { Latency } from '../../src/hub/latency.js'
import { monotonicNow } from '../../src/model/clock.js'

await t.test('an event counts once its round of the sweep is done', (t) => {
  const latency = new Latency()
  const since = monotonicNow() - 40
  latency.begin(since, 2)
  latency.passed(1)
  t.strictSame(latency.take(), { p50: 0, p99: 0 }, 'not yet')
  latency.passed(2)
  const { p50, p99 } = latency.take()
  t.ok(p50 >= 39 && p99 >= p50 && p99 < monotonicNow() - since + 1, `${p50}, ${p99} ms`)
  t.end()
})

await t.test('events of later rounds wait', (t) => {
  const latency = new Latency()
  latency.begin(monotonicNow() - 1_000, 1)
  latency.begin(monotonicNow() - 5_000, 2)
  latency.passed(1)
  t.ok(latency.take().p99 < 3_000)
  latency.passed(5)
  t.ok(latency.take().p50 > 3_000)
  t.end()
})

await t.test('quantiles are those since the last call', (t) => {
  const latency = new Latency()
  latency.begin(monotonicNow(), 1)
  latency.passed(1)
  t.ok(latency.take().p50 > 0, 'a time shorter than the unit counts as one unit')
  t.strictSame(latency.take(), { p50: 0, p99: 0 })
  t.end()
})
