/** The events that topics have beyond the number that is kept, and which topics are trimmed together. */
import type { Retention } from '../log.js'
import type { State } from './state.js'
import type { Topic } from './topic.js'

/** How many times the events that are kept a topic may have before it is indexed and trimmed at once. */
const OVERFULL = 1.1

/**
 * Topics are trimmed together: the oldest events of topics that are published to alike lie next to each other, where
 * one page has many of them, and so do the events of one topic in the index. Trimming begins when a topic has so many
 * more `events` than are kept, or that `share` of them, or when `total` are too many and `average` of each topic.
 * Topics with `few` go along.
 */
const BATCH = { events: 50, share: 1 / 20, total: 1_200, average: 12, few: 8 }
/** A topic gives at least so many at once. */
const MIN_SHARE = 10

/** Trimming comes first when a topic has twice the events that are kept, and as many as this. */
const BEHIND_EVENTS = 1_000

export class ExcessEvents {
  readonly #state: State
  readonly #retention: Retention
  /** With how many more events than are kept trimming begins, and with how many a topic goes along. */
  readonly #batch: number
  readonly #few: number
  /** Topics that are being trimmed: each until it has given what it had too much when a transaction began. */
  readonly #due = new Set<string>()
  /** Topics that go along when trimming begins, with how many more events they have. */
  readonly #ready = new Map<string, number>()
  /** How many more events these topics have. */
  #readyEvents = 0
  /** Whether one of them has reached `#batch`. */
  #isFull = false
  /** Topics that have a few more, and are trimmed after the next look. */
  readonly #crowded = new Set<string>()
  /** Topics that have many more, of which some are not in the index. */
  readonly #overfull = new Set<string>()
  /** Topics that have so many more events than are kept that nothing should be added. */
  readonly #behind = new Set<string>()

  constructor(state: State, retention: Retention) {
    this.#state = state
    this.#retention = retention
    this.#batch = Math.max(1, Math.min(BATCH.events, Math.floor(retention.events * BATCH.share)))
    this.#few = Math.min(BATCH.few, this.#batch)
    for (const topic of state.topics.values()) this.noticed(topic) // fewer may be kept than before
  }

  /** Says that a topic has changed. Only what is indexed can be trimmed. */
  noticed(topic: Topic): void {
    this.#noticeExcess(topic.name, this.of(topic))
    if (topic.recent.length > 0 && topic.events > OVERFULL * this.#retention.events) this.#overfull.add(topic.name)
    else this.#overfull.delete(topic.name)
    if (topic.events > BEHIND_EVENTS + 2 * this.#retention.events) this.#behind.add(topic.name)
    else this.#behind.delete(topic.name)
  }

  /** Whether a topic has many more events than are kept, of which some are not in the index. */
  get needsIndex(): boolean {
    return this.#overfull.size > 0
  }

  /** Whether topics have so many more events than are kept that nothing should be added. */
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

  /** Whether topics should be trimmed that are not being trimmed yet. */
  get begins(): boolean {
    return (
      this.#due.size === 0 &&
      (this.#isFull || this.#readyEvents >= Math.max(BATCH.total, BATCH.average * this.#ready.size))
    )
  }

  /** Has all topics trimmed that have more than a few events too much. */
  begin(): void {
    for (const name of this.#ready.keys()) this.#due.add(name)
    this.#ready.clear()
    this.#readyEvents = 0
    this.#isFull = false
  }

  /** Returns how many more events a topic has than are kept, as far as they are in the index. */
  of({ events, recent }: Topic): number {
    return Math.min(events - this.#retention.events, events - recent.length)
  }

  /** How many more events topics that are due have than are kept; `limit`: that many or more. */
  ofDue(limit: number): number {
    let count = 0
    for (const name of this.#due) {
      if (count >= limit) return limit
      const topic = this.#state.topics.get(name)
      if (topic) count += Math.max(0, this.of(topic))
    }
    return Math.min(count, limit)
  }

  /** Has all topics trimmed that have any event too much, when no topic is being trimmed. */
  beginAll(): void {
    if (this.#due.size > 0) return
    this.begin()
    for (const name of this.#crowded) this.#due.add(name)
    this.#crowded.clear()
  }

  /** The topics that are being trimmed. */
  get due(): ReadonlySet<string> {
    return this.#due
  }

  /** Returns how many events each of these topics gives to a transaction that removes at most `limit`. */
  shareOf(limit: number): number {
    return this.ofDue(limit + 1) <= limit ? Infinity : Math.max(MIN_SHARE, Math.ceil(limit / this.#due.size))
  }

  /** Notes that topics have given what they had too much. */
  done(names: readonly string[]): void {
    for (const name of names) this.#due.delete(name)
  }
}
