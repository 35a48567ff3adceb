/**
 * A hundred live and a hundred stalled subscribers: the cost of the stalled ones, and whether they get every event once
 * they read again.
 */
import { faultsOf, publishBefore, receive, startClock, sum } from '../measure.js'
import type { Options } from '../options.js'
import { residentKiB } from '../procfs.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const READERS = 100
const STALLED = 100
const RATE = 50
const PAYLOAD = 50_000
/**
 * The number of events before the measurement. Then the code is compiled, and the sockets of the stalled subscribers
 * are full.
 */
const WARM_UP = 150
const MAX_RISE = 50
const MAX_P99 = 25

/** Keeps every event, and ends no slow stream. */
const KEEP = { FANFARE_RETAIN_EVENTS: '10000', FANFARE_SLOW_TIMEOUT: '10m' }

export const stalled: Scenario = {
  name: 'stalled',
  openFiles: () => READERS + STALLED,
  workers: 'allowed',
  run: (options) =>
    Stage.withHub(options, KEEP, async (stage) => {
      const events = options.quick ? 200 : 2_000
      const { subscribers, publishers, ports } = stage
      await stage.subscribe({ group: 'readers', count: READERS })
      await stage.subscribe({ group: 'stalled', count: STALLED })
      await subscribers.tell('pause', { group: 'stalled' })
      await publishers.tell('connectPublishers', { ports, publishers: 4, topics: 1, payload: PAYLOAD })

      const peak = watchMemory(stage.pids)
      const filling = await publishBefore(stage, 'readers', { events: WARM_UP, rate: RATE }, READERS)

      const clock = startClock(stage)
      const { published, seconds } = await publishers.tell('publish', { events, rate: RATE })
      const reading = await receive(stage, 'readers', READERS * published)
      const used = clock(reading.delivered)
      await subscribers.tell('resume', { group: 'stalled' })
      const resumed = performance.now()
      const lateExpected = STALLED * (WARM_UP + published)
      const late = await receive(stage, 'stalled', lateExpected)
      const caughtUp = (performance.now() - resumed) / 1e3
      const rise = peak()

      const { p99 } = reading.latency
      return [
        {
          scenario: 'stalled',
          figure: `memory +${rise.toFixed(0)} MiB, the readers' p99 ${p99.toFixed(1)} ms`,
          ...judge(options, rise, p99),
          ...used,
          delivered: reading.delivered + late.delivered,
          expected: READERS * published + lateExpected,
          publishesPerSecond: published / seconds,
          latency: reading.latency,
          notes: [
            `the stalled subscribers got ${late.delivered} of ${lateExpected} events once they read again, in ${caughtUp.toFixed(1)} s`,
            `while their sockets filled, the readers' p99 was ${filling.latency.p99.toFixed(1)} ms`,
          ],
          faults: [
            ...faultsOf(reading, READERS * published),
            ...faultsOf(filling, READERS * WARM_UP),
            ...faultsOf(late, lateExpected),
          ],
        },
      ]
    }),
}

/** Compares the figures with the targets. A log in memory holds all events, so it has no target for memory. */
function judge({ log }: Options, rise: number, p99: number): { target: string; reached: boolean } {
  if (log === 'memory') return { target: `n/a, p99 <= ${MAX_P99} ms`, reached: p99 <= MAX_P99 }
  return { target: `<= ${MAX_RISE} MiB, p99 <= ${MAX_P99} ms`, reached: rise <= MAX_RISE && p99 <= MAX_P99 }
}

/** Watches the memory of processes. The returned function ends this, and returns the largest increase in MiB. */
function watchMemory(pids: readonly number[]): () => number {
  const before = sum(pids, residentKiB)
  let most = before
  const timer = setInterval(() => (most = Math.max(most, sum(pids, residentKiB))), 100)
  return () => {
    clearInterval(timer)
    return (most - before) / 1024
  }
}
