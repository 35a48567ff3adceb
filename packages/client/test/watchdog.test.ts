/** A dead stream is noticed by silence on either clock. */
import t, { type Test } from 'tap'
import { startWatchdog, type Rhythm, type Watchdog } from '../src/watchdog.js'

/** Starts a watchdog with clocks that the test moves. */
function watch(t: Test, rhythm: Rhythm = { longest: 0, misses: 0 }, most?: number) {
  const clocks = { steady: 1_000, wall: 5_000_000 }
  t.intercept(Date, 'now', { value: () => clocks.wall })
  t.intercept(performance, 'now', { value: () => clocks.steady })
  let silences = 0
  const watchdog: Watchdog = startWatchdog(rhythm, () => silences++, most)
  t.teardown(() => watchdog.stop())
  const pass = (ms: number): void => {
    clocks.steady += ms
    clocks.wall += ms
    watchdog.check()
  }
  return { watchdog, rhythm, clocks, pass, silences: () => silences }
}

await t.test('an attempt without an answer ends after 20 s', async (t) => {
  const { pass, silences } = watch(t)
  pass(20_000)
  t.equal(silences(), 0)
  pass(1)
  t.equal(silences(), 1)
})

await t.test('a stream ends after two and a half intervals of its heartbeats', async (t) => {
  const { watchdog, pass, silences } = watch(t)
  watchdog.seen()
  pass(4_000)
  watchdog.seen()
  watchdog.beat()
  pass(10_000)
  t.equal(silences(), 0)
  pass(1)
  t.equal(silences(), 1)
})

await t.test('a limit of the application replaces that of the heartbeats', async (t) => {
  const waiting = watch(t, undefined, 10_000)
  waiting.pass(10_001)
  t.equal(waiting.silences(), 1, 'without an answer')
  const { watchdog, pass, silences } = watch(t, { longest: 60_000, misses: 0 }, 10_000)
  watchdog.seen()
  pass(10_000)
  t.equal(silences(), 0)
  pass(1)
  t.equal(silences(), 1)
})

await t.test('a fast heartbeat does not make it hasty', async (t) => {
  const { watchdog, pass, silences } = watch(t)
  watchdog.seen()
  pass(100)
  watchdog.seen()
  watchdog.beat()
  pass(5_000)
  t.equal(silences(), 0)
})

await t.test('a hub whose heartbeat is slower than the default is given more time with each miss', async (t) => {
  const first = watch(t)
  first.watchdog.seen()
  first.pass(45_001)
  t.equal(first.silences(), 1)
  const second = watch(t, first.rhythm)
  second.watchdog.seen()
  second.pass(90_000)
  t.equal(second.silences(), 0)
  second.watchdog.seen()
  second.watchdog.beat()
  second.pass(200_000)
  t.equal(second.silences(), 0, 'the interval is known then')
})

await t.test('a machine that has slept has a dead stream, although its monotonic clock stood still', async (t) => {
  const { watchdog, clocks, silences } = watch(t)
  watchdog.seen()
  clocks.wall += 3_600_000
  watchdog.check()
  t.equal(silences(), 1)
})

await t.test('a wall clock that is set back changes nothing', async (t) => {
  const { watchdog, clocks, pass, silences } = watch(t)
  watchdog.seen()
  clocks.wall -= 3_600_000
  pass(40_000)
  t.equal(silences(), 0)
  pass(5_001)
  t.equal(silences(), 1)
})
