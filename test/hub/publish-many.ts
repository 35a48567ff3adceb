import type { EventInput } from '../../src/model/event.js'
import type { Hub } from '../../src/hub/hub.js'

/** The maximum number of events of one batch. */
const BATCH = 1_000

/** Publishes any number of events, batch after batch. */
export async function publishMany(hub: Hub, events: readonly (EventInput & { topic: string })[]): Promise<void> {
  for (let n = 0; n < events.length; n += BATCH) await hub.publishAll(events.slice(n, n + BATCH))
}
