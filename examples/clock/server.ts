/** Publishes the server's time every few seconds with a number, which continues after a restart. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Example, ExampleContext } from '../shared/example.js'

export interface Tick {
  number: number
  /** RFC 3339 */
  time: string
}

/** The time between two ticks, in milliseconds. */
const EVERY = 2_000

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'clock' },
  serve(app, context) {
    run(context).catch((err: unknown) => {
      if (!context.ending.aborted) app.log.error(err, 'the clock has stopped')
    })
  },
} satisfies Example

/** Publishes ticks. While the hub is unavailable a tick is retried, so none is lost or stored twice. */
async function run({ hub, speed, ending: signal }: ExampleContext): Promise<void> {
  const waiting = { maxWait: Infinity, signal }
  const [last] = await hub.last('clock', 1, waiting)
  for (let number = last ? (last.data as Tick).number + 1 : 1; ; number++) {
    const data: Tick = { number, time: new Date().toISOString() }
    await hub.publish('clock', { data }, waiting)
    await delay(EVERY / speed, undefined, { signal })
  }
}
