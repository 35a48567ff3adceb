/** Publishing that nobody reads: single events, and batches. */
import { startClock } from '../measure.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const PUBLISHERS = 8
const BATCH = 100
const PAYLOAD = 100

export const publish: Scenario = {
  name: 'publish',
  openFiles: PUBLISHERS,
  run: (options) =>
    Stage.withHub(options, {}, async (stage) => {
      const { port } = stage.server
      await stage.publishers.tell('connectPublishers', { port, publishers: PUBLISHERS, topics: 100, payload: PAYLOAD })
      await stage.publishers.tell('publish', { events: 5_000 })
      const events = options.quick ? 10_000 : 50_000
      const singles = startClock(stage)
      const { published, seconds } = await stage.publishers.tell('publish', { events })
      const one = singles(0)
      const single = {
        scenario: 'publish',
        figure: `${whole(published / seconds)} single events/s`,
        target: '', reached: undefined,
        publishesPerSecond: published / seconds,
        hubShare: one.hubShare, loadShare: one.loadShare, memory: one.memory,
        faults: published === events ? [] : [`${events} events were published, ${published} were accepted`],
      }

      const plan = { port, publishers: PUBLISHERS, size: BATCH, payload: PAYLOAD }
      await stage.publishers.tell('publishBatches', { ...plan, batches: 200 })
      const batches = options.quick ? 500 : 3_000
      const several = startClock(stage)
      const took = await stage.publishers.tell('publishBatches', { ...plan, batches })
      const many = several(0)
      return [single, {
        scenario: 'publish',
        figure: `${whole((batches * BATCH) / took)} events/s, ${BATCH} a batch`,
        target: '', reached: undefined,
        publishesPerSecond: batches / took,
        hubShare: many.hubShare, loadShare: many.loadShare, memory: many.memory,
        faults: [],
      }]
    }),
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
