/** One log for several hubs, as several processes have it. */
import type { EventLog } from '../../src/log/log.js'

/** Returns the log as one of its hubs has it: a hub that closes leaves it open for the others. */
export function share(log: EventLog): EventLog {
  return {
    view: log.view,
    records: log.records,
    append: (events) => log.append(events),
    follow: (apply) => log.follow(apply),
    scan: (selection, span, visit) => log.scan(selection, span, visit),
    locate: (selection, beginning) => log.locate(selection, beginning),
    newest: (selection, options) => log.newest(selection, options),
    topic: (name) => log.topic(name),
    setTopic: (name, properties) => log.setTopic(name, properties),
    topics: (options, accepts) => log.topics(options, accepts),
    purge: (topic) => log.purge(topic),
    halt: () => log.halt(),
    close: async () => undefined,
  }
}
