/** Ten thousand subscribers connect at once, as after a deploy. */
import { faultsOf, receive, startClock } from '../measure.js'
import { EVERYBODY, Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const CLIENTS = 10_000
const MAX_SECONDS = 3

export const connectStorm: Scenario = {
  name: 'connect-storm',
  openFiles: () => CLIENTS,
  workers: 'allowed',
  run: (options) =>
    Stage.withHub(options, { FANFARE_MAX_CONNECTIONS: String(CLIENTS) }, async (stage) => {
      const clock = startClock(stage)
      const { seconds } = await stage.subscribe({ count: CLIENTS, atOnce: CLIENTS })
      const { hubShare, loadShare, memory } = clock(0)
      return [
        {
          scenario: 'connect-storm',
          figure: `${seconds.toFixed(2)} s until ${CLIENTS.toLocaleString('en')} have their first block`,
          target: `<= ${MAX_SECONDS} s`,
          reached: seconds <= MAX_SECONDS,
          hubShare,
          loadShare,
          memory,
          faults: faultsOf(await receive(stage, EVERYBODY, 0), 0),
        },
      ]
    }),
}
