/** The largest event that can be published, as the work of a transaction. */
import { countEvent } from './event-appender.js'
import { Work } from './pages.js'

/** A log that has no room takes events again when it has room for one of the greatest size, in bytes. */
const LARGEST = 256 * 1024
/** What its header, topic, type, publisher id and attributes take at most, in bytes. */
const LARGEST_ENVELOPE = 12 * 1024

export const LARGEST_EVENT = new Work().with({ ids: 1, newTopics: 1 })
countEvent(LARGEST + LARGEST_ENVELOPE, LARGEST_EVENT)
export const TWO_LARGEST_EVENTS = LARGEST_EVENT.with({
  events: 2,
  eventBytes: 2 * LARGEST_EVENT.eventBytes,
  ownPages: 2 * LARGEST_EVENT.ownPages,
})
