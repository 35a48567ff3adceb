/** How far the topics of a log in memory have been trimmed. */
import { REMEMBERED_TOPICS } from '../log.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import type { RetainedEvents, TopicLog } from './retained-events.js'

export class MemoryTrims implements TrimHistory {
  trims = 0
  readonly marks = new TrimMarks()
  newestTrimmed = 0
  forgotten: Trimmed = { trimmed: 0, trimmedAt: 0 }
  readonly #retained: RetainedEvents
  readonly #maxBytes: number
  /** Topics that have no events left, in the order in which they were emptied. */
  readonly #emptied = new Set<string>()

  /** @param maxBytes how much the marks may take: beyond it topics without events are forgotten */
  constructor(retained: RetainedEvents, maxBytes: number) {
    this.#retained = retained
    this.#maxBytes = maxBytes
  }

  trimmedOf(topic: string): Trimmed {
    return this.#retained.get(topic) ?? this.marks.get(topic) ?? this.forgotten
  }

  /** Notes that a topic has been trimmed up to a sequence. */
  note(topic: TopicLog, sequence: number): void {
    topic.trimmed = sequence
    topic.trimmedAt = ++this.trims
    this.marks.set(topic.name, sequence, topic.trimmedAt)
    this.newestTrimmed = Math.max(this.newestTrimmed, sequence)
  }

  /** A topic gets events: its mark is not forgotten as long as it has some. */
  filled(name: string): void {
    this.#emptied.delete(name)
  }

  /**
   * A topic has no events left: it is remembered how far it has been trimmed, as long as there are not too many such
   * topics.
   */
  emptied(name: string): void {
    this.#emptied.add(name)
    for (let n = 0; n < 2; n++)
      if (this.#emptied.size > REMEMBERED_TOPICS || this.marks.bytes > this.#maxBytes) this.#forgetTopic()
  }

  /** Forgets of the topic that was emptied first how far it has been trimmed. */
  #forgetTopic(): void {
    const [oldest] = this.#emptied
    if (oldest === undefined) return
    this.#emptied.delete(oldest)
    this.forgotten = {
      trimmed: Math.max(this.forgotten.trimmed, this.marks.get(oldest)!.trimmed),
      trimmedAt: ++this.trims,
    }
    this.marks.delete(oldest)
  }
}
