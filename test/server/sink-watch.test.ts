/** The watch of sinks counts the time in which the hub could see progress. */
import t from 'tap'
import { SinkWatch, type Watched } from '../../src/server/sink-watch.js'

/** Stops the process, as a machine that sleeps or is busy does. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Adds a sink to a watch. Resolves at the check at which its time limit is over. */
function limit(watch: SinkWatch, ms: number) {
  const began = watch.now
  const ages: number[] = []
  const over = new Promise<void>((resolve) => {
    const sink: Watched = {
      check: (now) => {
        ages.push(now - began)
        if (now - began < ms) return true
        resolve()
        return false
      },
    }
    watch.add(sink)
  })
  return { ages, over }
}

const running = setInterval(() => undefined, 1_000) // the timer of a watch does not keep the process running
t.teardown(() => clearInterval(running))

await t.test('a process that stands still ends no stream', async (t) => {
  const watch = new SinkWatch(200)
  const { ages, over } = limit(watch, 200)
  standStill(1_000)
  await over
  t.ok(ages[0]! <= 51, `${ages[0]} ms have passed for the sink at the first check`)
  t.ok(ages.length >= 4, 'the peer had time to make progress')
})

await t.test('a time limit that begins after the process stood still is not longer', async (t) => {
  const watch = new SinkWatch(40)
  const first = limit(watch, 40)
  standStill(2_000)
  const began = performance.now()
  const second = limit(watch, 40)
  await Promise.all([first.over, second.over])
  const took = performance.now() - began
  t.ok(took >= 40, `${took} ms`)
  t.ok(second.ages.at(-1)! < 80, `${second.ages.at(-1)} ms on the clock of the watch`)
})

await t.test('the clock goes on without sinks between two limits', async (t) => {
  const watch = new SinkWatch(40)
  await limit(watch, 40).over
  const { now } = watch
  await limit(watch, 40).over
  t.ok(watch.now - now >= 40)
})
