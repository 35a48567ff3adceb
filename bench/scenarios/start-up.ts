/** The restart of a hub that was killed with a full log. */
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const EVENTS = 1_000_000
const TOPICS = 1_000
const MAX_MILLISECONDS = 300

export const startUp: Scenario = {
  name: 'start-up',
  openFiles: () => 0,
  needsFolder: true,
  run: (options) =>
    Stage.withHub(options, { FANFARE_RETAIN_EVENTS: String(EVENTS) }, async (stage) => {
      const events = options.quick ? EVENTS / 10 : EVENTS
      const empty = await stage.restart()
      const { accepted } = await stage.publishers.tell('publishLines', {
        port: stage.server.port,
        topics: TOPICS,
        payload: 100,
        events,
      })
      const full = await stage.restart()
      const { topics } = (await (await fetch(`${stage.server.url}/status`)).json()) as { topics: number }
      const milliseconds = 1_000 * (full - empty)
      const isKept = options.log !== 'memory'
      return [
        {
          scenario: 'start-up',
          figure: isKept
            ? `${milliseconds.toFixed(0)} ms for ${accepted.toLocaleString('en')} events`
            : 'nothing is kept',
          target: `<= ${MAX_MILLISECONDS} ms`,
          reached: isKept ? milliseconds <= MAX_MILLISECONDS : undefined,
          notes: [
            `after SIGKILL, from the start of the process until it listens: ${full.toFixed(2)} s; with an empty log, whose time is subtracted: ${empty.toFixed(2)} s`,
          ],
          faults:
            isKept && topics < TOPICS / 2
              ? [`${TOPICS} topics had events, and ${topics} have events after the restart`]
              : [],
        },
      ]
    }),
}
