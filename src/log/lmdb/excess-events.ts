/** Events of topics beyond `Retention.events`, and the choice of topics that are trimmed together. */
import type { Retention } from '../log.js'
import type { State } from './state.js'
import type { Topic } from './topic.js'

/** A topic with more than this many times `Retention.events` is indexed and trimmed at once. */
const OVERFULL = 1.1

/**
 * Topics are trimmed together: the oldest events of topics with similar rates share pages, and so do the index entries
 * of one topic. A round of trimming begins when one topic has an excess of `events`, or of `share` of the retained
 * events, or when all topics have an excess of `total`, with `average` per topic. The round includes each topic with an
 * excess of `few`.
 */
const BATCH = { events: 50, share: 1 / 20, total: 1_200, average: 12, few: 8 }
/** The fewest events that one transaction removes from a topic of the round, if the topic has as many. */
const MIN_SHARE = 10

/** Trimming precedes appends when a topic has twice `Retention.events` and this many more. */
const BEHIND_EVENTS = 1_000

export class ExcessEvents {
  readonly #state: State
  readonly #retention: Retention
  /** The excess that begins a round, and the excess that includes a topic in it. */
  readonly #batch: number
  readonly #few: number
  /** The topics of the round. A topic leaves it once a transaction has removed the excess that the topic had before. */
  readonly #due = new Set<string>()
  /** Topics of the next round, with their excess. */
  readonly #ready = new Map<string, number>()
  /** The total excess of the topics in `#ready`. */
  #readyEvents = 0
  /** Whether the excess of a topic in `#ready` has reached `#batch`. */
  #isFull = false
  /** Topics with a smaller excess: `beginAll` adds them to the round. */
  readonly #crowded = new Set<string>()
  /** Topics with a large excess that is partly not in the index. */
  readonly #overfull = new Set<string>()
  /** Topics with so large an excess that trimming precedes appends. */
  readonly #behind = new Set<string>()

  constructor(state: State, retention: Retention) {
    this.#state = state
    this.#retention = retention
    this.#batch = Math.max(1, Math.min(BATCH.events, Math.floor(retention.events * BATCH.share)))
    this.#few = Math.min(BATCH.few, this.#batch)
    for (const topic of state.topics.values()) this.noticed(topic) // the retention may have shrunk
  }

  /** Updates the excess of a topic that has changed. Only indexed events can be trimmed. */
  noticed(topic: Topic): void {
    this.#noticeExcess(topic.name, this.of(topic))
    const events = this.#state.finite.has(topic.name) ? 0 : topic.events
    if (topic.recent.length > 0 && events > OVERFULL * this.#retention.events) this.#overfull.add(topic.name)
    else this.#overfull.delete(topic.name)
    if (events > BEHIND_EVENTS + 2 * this.#retention.events) this.#behind.add(topic.name)
    else this.#behind.delete(topic.name)
  }

  /** Whether a topic has a large excess that is partly not in the index. */
  get needsIndex(): boolean {
    return this.#overfull.size > 0
  }

  /** Whether a topic has so large an excess that trimming precedes appends. */
  get isBehind(): boolean {
    return this.#behind.size > 0
  }

  #noticeExcess(name: string, excess: number): void {
    if (excess <= 0) this.#due.delete(name)
    if (this.#due.has(name)) return
    const isReady = excess >= this.#few
    this.#readyEvents += (isReady ? excess : 0) - (this.#ready.get(name) ?? 0)
    if (isReady) this.#ready.set(name, excess)
    else this.#ready.delete(name)
    if (excess > 0 && !isReady) this.#crowded.add(name)
    else this.#crowded.delete(name)
    this.#isFull ||= excess >= this.#batch
  }

  /** Whether a round of trimming should begin. */
  get begins(): boolean {
    return (
      this.#due.size === 0 &&
      (this.#isFull || this.#readyEvents >= Math.max(BATCH.total, BATCH.average * this.#ready.size))
    )
  }

  /** Begins a round with all topics whose excess is not small. */
  begin(): void {
    for (const name of this.#ready.keys()) this.#due.add(name)
    this.#ready.clear()
    this.#readyEvents = 0
    this.#isFull = false
  }

  /** Returns the part of a topic's excess that can be trimmed: the part that is in the index. */
  of({ name, events, recent }: Topic): number {
    if (this.#state.finite.has(name)) return 0
    return Math.min(events - this.#retention.events, events - recent.length)
  }

  /** Returns the excess of the topics of the round, at most `limit`. */
  ofDue(limit: number): number {
    let count = 0
    for (const name of this.#due) {
      if (count >= limit) return limit
      const topic = this.#state.topics.get(name)
      if (topic) count += Math.max(0, this.of(topic))
    }
    return Math.min(count, limit)
  }

  /** Begins a round with all topics that have any excess, unless a round is under way. */
  beginAll(): void {
    if (this.#due.size > 0) return
    this.begin()
    for (const name of this.#crowded) this.#due.add(name)
    this.#crowded.clear()
  }

  /** The topics of the round. */
  get due(): ReadonlySet<string> {
    return this.#due
  }

  /** Returns the most events that a transaction removes from each topic of the round, if it removes `limit` in all. */
  shareOf(limit: number): number {
    return this.ofDue(limit + 1) <= limit ? Infinity : Math.max(MIN_SHARE, Math.ceil(limit / this.#due.size))
  }

  /** Removes topics from the round. */
  done(names: readonly string[]): void {
    for (const name of names) this.#due.delete(name)
  }
}
