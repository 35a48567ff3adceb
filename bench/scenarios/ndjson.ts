/** An NDJSON upload without subscribers: how fast events are checked, stored and trimmed. */
import { startClock } from '../measure.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const MIN_EVENTS = 100_000

export const ndjson: Scenario = {
  name: 'ndjson',
  openFiles: () => 0,
  run: (options) =>
    Stage.withHub(options, {}, async (stage) => {
      const plan = { port: stage.server.port, topics: 100, payload: 100 }
      await stage.publishers.tell('publishLines', { ...plan, events: 50_000 })
      const clock = startClock(stage)
      const events = options.quick ? 200_000 : 1_000_000
      const { accepted, seconds } = await stage.publishers.tell('publishLines', { ...plan, events })
      const { hubShare, loadShare, memory } = clock(0)
      const rate = accepted / seconds
      return [
        {
          scenario: 'ndjson',
          figure: `${Math.round(rate).toLocaleString('en')} events/s`,
          target: `>= ${MIN_EVENTS.toLocaleString('en')}/s`,
          reached: rate >= MIN_EVENTS,
          publishesPerSecond: rate,
          hubShare,
          loadShare,
          memory,
          faults: accepted === events ? [] : [`${events} events were published, ${accepted} were accepted`],
        },
      ]
    }),
}
