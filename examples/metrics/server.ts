/** Measures this machine every two seconds. Only current values matter: samples without a hub are dropped. */
import { setTimeout as delay } from 'node:timers/promises'
import { HubError } from 'fanfare-client'
import type { Example, ExampleContext } from '../shared/example.js'
import { createMeter } from '../shared/machine.js'

/** The time between two samples, in milliseconds. */
const EVERY = 2_000

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'metrics' },
  serve(_app, context) {
    context.watch(run(context), 'the server takes no more samples')
  },
} satisfies Example

async function run({ hub, speed, ending: signal }: ExampleContext): Promise<void> {
  const measure = createMeter()
  for (;;) {
    await delay(EVERY / speed, undefined, { signal })
    await hub.publish('metrics', { data: measure() }, { timeout: EVERY, signal }).catch((err: unknown) => {
      if (!(err instanceof HubError) || err.isFinal) throw err
    })
  }
}
