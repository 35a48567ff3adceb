/** One topic with a thousand subscribers and 50 events per second: the cost and the latency of a delivery. */
import { measurePublishing } from '../measure.js'
import type { Options } from '../options.js'
import type { Row } from '../row.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const SUBSCRIBERS = 1_000
const RATE = 50
const MAX_CPU = 7
const MAX_P99 = 12

export const fanoutPaced: Scenario = {
  name: 'fanout-paced',
  openFiles: () => SUBSCRIBERS,
  workers: 'allowed',
  tls: 'allowed',
  run: (options) => measurePaced('fanout-paced', options, { seconds: options.quick ? 5 : 20, warmUp: RATE * 2 }),
}

/** The same without events before the measurement: the hub and the load process are new. */
export const firstMinute: Scenario = {
  name: 'first-minute',
  openFiles: () => SUBSCRIBERS,
  workers: 'allowed',
  tls: 'allowed',
  run: (options) => measurePaced('first-minute', options, { seconds: options.quick ? 5 : 60, warmUp: 0 }),
}

/** @param warmUp the number of events before the measured ones */
function measurePaced(
  scenario: string,
  options: Options,
  { seconds, warmUp }: { seconds: number; warmUp: number },
): Promise<Row[]> {
  return Stage.withHub(options, {}, async (stage) => {
    await stage.subscribe({ count: SUBSCRIBERS })
    const measured = await measurePublishing(stage, {
      publishers: 4,
      payload: 100,
      events: RATE * seconds,
      rate: RATE,
      streamsPerEvent: SUBSCRIBERS,
      warmUp,
    })
    const { cpuPerDelivery, latency } = measured
    return [
      {
        scenario,
        figure: `${cpuPerDelivery.toFixed(1)} µs CPU a delivery, p99 ${latency.p99.toFixed(1)} ms`,
        target: `<= ${MAX_CPU} µs, p99 <= ${MAX_P99} ms`,
        reached: Number.isNaN(cpuPerDelivery) ? undefined : cpuPerDelivery <= MAX_CPU && latency.p99 <= MAX_P99,
        ...measured,
      },
    ]
  })
}
