/** One log for several hubs, as in several processes. */
import type { EventLog } from '../../src/log/log.js'

/** Returns a view of the log for one of its hubs. Closing that hub leaves the log open for the others. */
export function share(log: EventLog): EventLog {
  return {
    view: log.view,
    records: log.records,
    append: (events, options) => log.append(events, options),
    follow: (apply) => log.follow(apply),
    scan: (selection, span, visit) => log.scan(selection, span, visit),
    locate: (selection, beginning) => log.locate(selection, beginning),
    newest: (selection, options) => log.newest(selection, options),
    topic: (name) => log.topic(name),
    topics: (options, accepts) => log.topics(options, accepts),
    purge: (topic) => log.purge(topic),
    halt: () => log.halt(),
    close: async () => undefined,
  }
}
