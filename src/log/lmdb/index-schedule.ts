/**
 * When events are put into the index, and how many at once. An append touches only the end of the events. The index
 * keeps the entries of each topic together, so a page of it would be written for nearly every event: it is written for
 * many at once.
 */
import { Work } from './pages.js'
import type { State } from './state.js'

/** How many events one transaction puts into the index. */
const STEP = 3_000
/** The most topics of these events: each has a row of its own, and a transaction holds the event loop. */
const STEP_TOPICS = 1_000

export class IndexSchedule {
  readonly #state: State
  /** Everything up to this sequence is to be put into the index, in as many transactions as it needs. */
  #until = 0

  constructor(state: State) {
    this.#state = state
  }

  /** Has all events that are stored now put into the index, step by step. */
  begin(): void {
    this.#until = this.#state.totals.head
  }

  /** Whether steps are left of those that `begin` asked for. */
  get isUnderWay(): boolean {
    const [oldest] = this.#state.unindexed
    return oldest !== undefined && oldest.sequence <= this.#until
  }

  /** Whether a whole step is due. */
  get isDue(): boolean {
    return this.#state.unindexed.length >= STEP
  }

  /** Whether half a step is due: time to make room for a whole one. */
  get isSoonDue(): boolean {
    return this.#state.unindexed.length >= STEP / 2
  }

  /** Whether so much is due that it comes before further appends. */
  get isBehind(): boolean {
    return this.#state.unindexed.length > 2 * STEP
  }

  /** Returns how many events the next step puts into the index. */
  next(): number {
    const { unindexed } = this.#state
    const most = Math.min(STEP, unindexed.length)
    if (this.#state.topics.size <= STEP_TOPICS) return most
    const topics = new Set<string>()
    for (let count = 0; count < most; count++) {
      if (topics.add(unindexed[count]!.topic).size > STEP_TOPICS) return count
    }
    return most
  }

  /** Returns what a whole step takes at most. */
  get work(): Work {
    return new Work().with({ indexed: STEP, topics: Math.min(STEP_TOPICS, this.#state.topics.size) })
  }
}
