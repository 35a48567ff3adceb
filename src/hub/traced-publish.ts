/** Publishes of the application's own code, in spans of OpenTelemetry if the process has an SDK. */
import type { EventInput } from '../model/event.js'
import { countOf, describeReceipt, sendTo } from '../observe/span-attributes.js'
import type { Traces } from '../observe/traces.js'
import type { Hub } from './hub.js'
import type { Receipt } from './publisher.js'

/** As `Hub.publish`. */
export function tracedPublish(hub: Hub, traces: Traces, topic: string, event: EventInput): Promise<Receipt> {
  const trace = traces.begin('publish', {}, () => sendTo(topic))
  const publish = () => hub.publish(topic, event, trace?.context)
  return trace ? trace.run(publish, describeReceipt) : publish()
}

/** As `Hub.publishAll`. */
export function tracedPublishAll(
  hub: Hub,
  traces: Traces,
  events: readonly (EventInput & { topic: string })[],
): Promise<Receipt[]> {
  const trace = traces.begin('publish batch', {}, sendTo)
  const publish = () => hub.publishAll(events, trace?.context)
  return trace ? trace.run(publish, ({ length }) => countOf(length)) : publish()
}
