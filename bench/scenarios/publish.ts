/** Publishing without subscribers: single events, and batches. */
import { startClock, type Measured } from '../measure.js'
import type { Row } from '../row.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const PUBLISHERS = 8
const BATCH = 100
const PAYLOAD = 100

export const publish: Scenario = {
  name: 'publish',
  openFiles: () => PUBLISHERS,
  workers: 'allowed',
  run: (options) =>
    Stage.withHub(options, {}, async (stage) => {
      const { port } = stage.server
      await stage.publishers.tell('connectPublishers', {
        ports: [port],
        publishers: PUBLISHERS,
        topics: 100,
        payload: PAYLOAD,
      })
      await stage.publishers.tell('publish', { events: 5_000 })
      const events = options.quick ? 10_000 : 50_000
      const singles = startClock(stage)
      const { published, seconds } = await stage.publishers.tell('publish', { events })
      const single = rowOf(`${whole(published / seconds)} single events/s`, published / seconds, singles(0))
      if (published !== events) single.faults.push(`${events} events were published, ${published} were accepted`)

      const plan = { port, publishers: PUBLISHERS, size: BATCH, payload: PAYLOAD }
      await stage.publishers.tell('publishBatches', { ...plan, batches: 200 })
      const batches = options.quick ? 500 : 3_000
      const several = startClock(stage)
      const took = await stage.publishers.tell('publishBatches', { ...plan, batches })
      return [
        single,
        rowOf(`${whole((batches * BATCH) / took)} events/s, ${BATCH} a batch`, batches / took, several(0)),
      ]
    }),
}

function rowOf(
  figure: string,
  publishesPerSecond: number,
  { hubShare, loadShare, memory }: Pick<Measured, 'hubShare' | 'loadShare' | 'memory'>,
): Row {
  return {
    scenario: 'publish',
    figure,
    target: '',
    reached: undefined,
    publishesPerSecond,
    hubShare,
    loadShare,
    memory,
    faults: [],
  }
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
