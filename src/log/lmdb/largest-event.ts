/** The cost of a transaction that appends the largest possible event. */
import { countEvent } from './event-appender.js'
import { Work } from './pages.js'

/** The largest payload, in bytes. A full log accepts events again once it has room for an event of this size. */
const LARGEST = 256 * 1024
/** The most that the header, topic, type, publisher id and attributes of an event take, in bytes. */
const LARGEST_ENVELOPE = 12 * 1024

export const LARGEST_EVENT = new Work().with({ ids: 1, newTopics: 1 })
countEvent(LARGEST + LARGEST_ENVELOPE, LARGEST_EVENT)
export const TWO_LARGEST_EVENTS = LARGEST_EVENT.with({
  events: 2,
  eventBytes: 2 * LARGEST_EVENT.eventBytes,
  ownPages: 2 * LARGEST_EVENT.ownPages,
})
