/**
 * Decides when events are added to the index, and how many at once. An append changes only the last page of the events
 * table. The index groups entries by topic, so nearly every event changes another page of it: adding many events at
 * once writes each page once.
 */
import { Work } from './pages.js'
import type { State } from './state.js'

/** The number of events that one transaction adds to the index. */
const STEP = 3_000
/** The most topics of a step: each topic takes a row, and writing rows blocks the event loop. */
const STEP_TOPICS = 1_000

export class IndexSchedule {
  readonly #state: State
  /** Steps continue until the index has all events up to this sequence. */
  #until = 0

  constructor(state: State) {
    this.#state = state
  }

  /** Begins to add all events that are stored now to the index, step by step. */
  begin(): void {
    this.#until = this.#state.totals.head
  }

  /** Whether steps that `begin` started are left. */
  get isUnderWay(): boolean {
    const [oldest] = this.#state.unindexed
    return oldest !== undefined && oldest.sequence <= this.#until
  }

  /** Whether a whole step is due. */
  get isDue(): boolean {
    return this.#state.unindexed.length >= STEP
  }

  /** Whether half a step is due: the time to make room for a whole step. */
  get isSoonDue(): boolean {
    return this.#state.unindexed.length >= STEP / 2
  }

  /** Whether so much is due that indexing precedes appends. */
  get isBehind(): boolean {
    return this.#state.unindexed.length > 2 * STEP
  }

  /** Returns the number of events that the next step adds to the index. */
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

  /** The largest possible cost of a whole step. */
  get work(): Work {
    return new Work().with({ indexed: STEP, topics: Math.min(STEP_TOPICS, this.#state.topics.size) })
  }
}
