/** The trim marks of the topics of a memory log. */
import { NO_TRIMS, REMEMBERED_TOPICS, type Trim } from '../log.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import type { RetainedEvents, TopicLog } from './retained-events.js'

export class MemoryTrims implements TrimHistory {
  mark = 0
  readonly marks = new TrimMarks()
  newestTrimmed = 0
  forgotten: Trimmed = { trimmed: 0, trimmedAt: 0 }
  readonly #retained: RetainedEvents
  readonly #maxBytes: number
  /** Trims that no delta contains yet. */
  #untold: { topic: string | undefined; until: number; forgotten?: string }[] = []
  /** Topics that have lost all their events, in the order in which they lost the last one. */
  readonly #emptied = new Set<string>()

  /** @param maxBytes the maximum size of the marks; beyond it, the marks of topics without events are dropped */
  constructor(retained: RetainedEvents, maxBytes: number) {
    this.#retained = retained
    this.#maxBytes = maxBytes
  }

  trimmedOf(topic: string): Trimmed {
    return this.#retained.get(topic) ?? this.marks.get(topic) ?? this.forgotten
  }

  /** Records that a topic has been trimmed up to a sequence. */
  note(topic: TopicLog, sequence: number): void {
    const last = this.#untold.at(-1)
    if (last?.topic === topic.name) last.until = sequence
    else {
      this.#untold.push({ topic: topic.name, until: sequence })
      this.mark++
    }
    topic.trimmed = sequence
    topic.trimmedAt = this.mark
    this.marks.set(topic.name, sequence, topic.trimmedAt)
    this.newestTrimmed = Math.max(this.newestTrimmed, sequence)
  }

  /** Records that any topic without a mark may have lost events up to a sequence. */
  suspect(sequence: number): void {
    this.forgotten = { trimmed: Math.max(this.forgotten.trimmed, sequence), trimmedAt: ++this.mark }
    this.newestTrimmed = Math.max(this.newestTrimmed, sequence)
    this.#untold.push({ topic: undefined, until: sequence })
  }

  /** Returns the trims since the last call. */
  take(): readonly Trim[] {
    if (this.#untold.length === 0) return NO_TRIMS
    const trims = this.#untold
    this.#untold = []
    return trims
  }

  /** Keeps the mark of a topic while the topic has events. */
  filled(name: string): void {
    this.#emptied.delete(name)
  }

  /** Keeps the mark of a topic that has lost all its events, unless there are too many such topics. */
  emptied(name: string): void {
    this.#emptied.add(name)
    for (let n = 0; n < 2; n++)
      if (this.#emptied.size > REMEMBERED_TOPICS || this.marks.bytes > this.#maxBytes) this.#forgetTopic()
  }

  /** Drops the mark of the topic that was emptied first. */
  #forgetTopic(): void {
    const [oldest] = this.#emptied
    if (oldest === undefined) return
    this.#emptied.delete(oldest)
    const until = this.marks.get(oldest)!.trimmed
    this.forgotten = { trimmed: Math.max(this.forgotten.trimmed, until), trimmedAt: ++this.mark }
    this.marks.delete(oldest)
    this.#untold.push({ topic: undefined, until, forgotten: oldest })
  }
}
