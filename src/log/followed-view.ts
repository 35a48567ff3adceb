/**
 * The view and the trims of a log that another process holds, built only from the log's deltas. This view gives the
 * same answers as the log's own.
 */
import type { Following, LogDelta, LogStats, LogView, Trim } from './log.js'
import { TrimMarks, type TrimHistory, type Trimmed } from './trim-marks.js'

/** A topic with events. */
interface FollowedTopic extends Trimmed {
  /** The sequence of its newest event. */
  newest: number
}

/** The parts of a view that deltas do not contain. */
export interface ViewSource {
  readonly epoch: string
  /** As `LogView.failure`. */
  failure(): Error | undefined
  /** As `LogView.stats`. */
  stats(): LogStats
}

export class FollowedView implements LogView, TrimHistory {
  marks = new TrimMarks()
  head = 0
  mark = 0
  newestTrimmed = 0
  forgotten: Trimmed = { trimmed: 0, trimmedAt: 0 }
  readonly #source: ViewSource
  readonly #topics = new Map<string, FollowedTopic>()

  /** @param following where the deltas begin. Earlier trims are unknown: any topic may have lost events */
  constructor(source: ViewSource, following: Pick<Following, 'head' | 'mark'>) {
    this.#source = source
    this.#begin(following)
  }

  get epoch(): string {
    return this.#source.epoch
  }

  get failure(): Error | undefined {
    return this.#source.failure()
  }

  stats(): LogStats {
    return this.#source.stats()
  }

  trimmedOf(topic: string): Trimmed {
    return this.#topics.get(topic) ?? this.marks.get(topic) ?? this.forgotten
  }

  apply({ events, trims, replaced }: LogDelta): void {
    if (replaced) this.#begin(replaced)
    for (const { topic, sequence } of events) {
      const known = this.#topics.get(topic)
      if (known) known.newest = sequence
      else {
        const { trimmed, trimmedAt } = this.trimmedOf(topic)
        this.#topics.set(topic, { newest: sequence, trimmed, trimmedAt })
      }
      this.head = sequence
    }
    for (const trim of trims) this.#trim(trim)
  }

  #begin({ head, mark }: Pick<Following, 'head' | 'mark'>): void {
    this.marks = new TrimMarks()
    this.#topics.clear()
    this.head = this.newestTrimmed = head
    this.mark = mark
    this.forgotten = { trimmed: head, trimmedAt: mark }
  }

  #trim({ topic, until, forgotten }: Trim): void {
    const trimmedAt = ++this.mark
    this.newestTrimmed = Math.max(this.newestTrimmed, until)
    if (topic === undefined) {
      this.forgotten = { trimmed: Math.max(this.forgotten.trimmed, until), trimmedAt }
      if (forgotten !== undefined) this.marks.delete(forgotten)
      return
    }
    this.marks.set(topic, until, trimmedAt)
    const known = this.#topics.get(topic)
    if (!known) return
    known.trimmed = until
    known.trimmedAt = trimmedAt
    if (known.newest <= until) this.#topics.delete(topic) // `marks` has the same mark
  }
}
