/** Publishes the server's time every few seconds with a number, which continues after a restart. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Example, ExampleContext } from '../shared/example.js'
import { newest } from '../shared/hub-access.js'

export interface Tick {
  number: number
  /** RFC 3339 */
  time: string
}

/** The time between two ticks, in milliseconds. */
const EVERY = 2_000

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'clock' },
  serve(_app, context) {
    context.watch(run(context), 'the clock has stopped')
  },
} satisfies Example

/** Publishes ticks. While the hub is unavailable, the client repeats a tick, so none is lost or stored twice. */
async function run({ hub, speed, ending: signal }: ExampleContext): Promise<void> {
  const [last] = await newest<Tick>(hub, 'clock', 1, { signal })
  for (let number = (last?.data.number ?? 0) + 1; ; number++) {
    const data: Tick = { number, time: new Date().toISOString() }
    await hub.publish('clock', { data }, { timeout: Infinity, signal })
    await delay(EVERY / speed, undefined, { signal })
  }
}
