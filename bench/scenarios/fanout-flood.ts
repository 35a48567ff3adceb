/** One topic with a thousand subscribers, and eight publishers that publish as fast as they get answers. */
import { measurePublishing } from '../measure.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const SUBSCRIBERS = 1_000
const MIN_DELIVERIES = 900_000

export const fanoutFlood: Scenario = {
  name: 'fanout-flood',
  openFiles: () => SUBSCRIBERS,
  workers: 'allowed',
  tls: 'allowed',
  run: (options) =>
    Stage.withHub(options, {}, async (stage) => {
      await stage.subscribe({ count: SUBSCRIBERS })
      const measured = await measurePublishing(stage, {
        publishers: 8,
        payload: 100,
        events: options.quick ? 2_000 : 8_000,
        streamsPerEvent: SUBSCRIBERS,
        warmUp: 1_000,
      })
      return [
        {
          scenario: 'fanout-flood',
          figure: `${Math.round(measured.deliveriesPerSecond).toLocaleString('en')} deliveries/s`,
          target: `>= ${MIN_DELIVERIES.toLocaleString('en')}/s`,
          reached: measured.deliveriesPerSecond >= MIN_DELIVERIES,
          ...measured,
        },
      ]
    }),
}
