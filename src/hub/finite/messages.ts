/** Reads the messages of a finite topic: those that a fork inherits, and then its own. */
import type { EventLog } from '../../log/log.js'
import { readPage } from '../../log/page.js'
import { END_TYPE } from '../../model/end-type.js'
import { quote } from '../../model/quote.js'
import { Selection } from '../../model/selection.js'
import type { Entry } from './entry.js'
import { FiniteTopicError, type ReadMessage } from './finite-topic.js'

/** The maximum number of messages of a page. */
const PAGE_MESSAGES = 10_000

/** A part of the messages: those of one topic. */
export interface Segment {
  topic: string
  /** Only messages after this sequence, and up to this one. */
  after: number
  until: number
}

/**
 * Returns the parts of a topic, oldest first. Sequences are those of the whole log, so the parts of a fork follow each
 * other.
 * @param known returns a topic by its name
 */
export function segmentsOf(entry: Entry, known: (topic: string) => Entry | undefined): Segment[] {
  const own: Segment = { topic: entry.topic, after: entry.record.base, until: entry.fold?.newest ?? Infinity }
  const segments = own.until > own.after ? [own] : []
  const { fork } = entry.record
  if (!fork) return segments
  const source = known(fork.source)
  if (source?.record.incarnation !== fork.incarnation)
    throw new FiniteTopicError('stream-gone', `The source ${quote(fork.source)} of the fork is gone.`)
  const inherited = segmentsOf(source, known)
    .filter(({ after }) => after < fork.offset)
    .map((segment) => ({ ...segment, until: Math.min(segment.until, fork.offset) }))
  return [...inherited, ...segments]
}

/**
 * Reads the messages after an offset.
 * @param bytes the page ends once it has so many bytes
 * @throws FiniteTopicError `stream-gone` if the log has lost some of them
 */
export async function readMessages(
  log: EventLog,
  segments: readonly Segment[],
  after: number,
  bytes: number,
): Promise<{ messages: ReadMessage[]; isComplete: boolean }> {
  const messages: ReadMessage[] = []
  let left = bytes
  for (const segment of segments) {
    if (segment.until <= after) continue
    const selection = new Selection([segment.topic])
    for (let position = Math.max(after, segment.after), more = true; more;) {
      if (left <= 0 || messages.length >= PAGE_MESSAGES) return { messages, isComplete: false }
      const page = await readPage(log, selection, {
        after: position,
        until: segment.until,
        events: PAGE_MESSAGES - messages.length,
        bytes: left,
      })
      if (page.trimmedAt !== undefined)
        throw new FiniteTopicError('stream-gone', `The log has lost messages of ${quote(segment.topic)}.`)
      for (const { type, kind, payload, sequence, time } of page.events) {
        left -= payload.length
        if (type !== END_TYPE) messages.push({ kind, payload, sequence, time })
      }
      position = page.position
      more = page.more
    }
  }
  return { messages, isComplete: true }
}
