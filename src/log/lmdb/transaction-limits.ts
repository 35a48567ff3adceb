/** Limits trimming, purging and indexing in a transaction to the room that its appends leave. */
import type { IndexSchedule } from './index-schedule.js'
import type { Work } from './pages.js'
import type { PurgeQueue } from './purge-queue.js'
import type { Room } from './room.js'
import type { State } from './state.js'
import type { Trimmer } from './trimmer.js'

/**
 * A transaction trims up to `more` events in excess of its appends, so that trimming keeps up, but never over `most`.
 */
const TRIM_STEP = { more: 1_000, most: 2_000 }
/** With little room, the limits shrink down to this share. */
const MIN_SHARE = 1 / 128
/** The number of events that a transaction purges, which blocks the event loop for some milliseconds. */
const PURGE_STEP = 500

/** The limits of one transaction, in events. */
export interface Limits {
  /** The cost of its appends and records, which have room. */
  must: Work
  index: number
  trims: number
  purges: number
}

export const NO_LIMITS = { index: 0, trims: 0, purges: 0 }

export class TransactionLimits {
  readonly #state: State
  readonly #trimmer: Trimmer
  readonly #index: IndexSchedule
  readonly #purges: PurgeQueue
  readonly #room: Room

  constructor(state: State, trimmer: Trimmer, index: IndexSchedule, purges: PurgeQueue, room: Room) {
    this.#state = state
    this.#trimmer = trimmer
    this.#index = index
    this.#purges = purges
    this.#room = room
  }

  /**
   * Returns the limits of the next transaction, so that it certainly has room.
   * @param must the cost of its appends and records
   * @param least the limits if only `must` has room; default: the result is `undefined` then
   */
  next(must: Work, least?: typeof NO_LIMITS): Limits | undefined {
    const room = this.#room
    const trims = this.#trimmer.due(Math.min(TRIM_STEP.more + must.events, TRIM_STEP.most))
    const purges = this.#purges.size > 0 ? PURGE_STEP : 0
    const index = this.#needsIndex ? this.#index.next() : 0
    if (trims + purges + index === 0) {
      if (this.#index.isSoonDue) this.#prepareIndexing()
      return { must, index: 0, trims: 0, purges: 0 }
    }
    for (let share = 1; share >= MIN_SHARE; share /= 2) {
      const limits = {
        must,
        index: Math.ceil(index * share),
        trims: Math.ceil(trims * share),
        purges: Math.ceil(purges * share),
      }
      const removals = limits.trims + limits.purges
      const forgotten = this.#trimmer.forgetsTopics ? limits.trims : 0
      const topics = Math.min(limits.index + removals, this.#state.topics.size + forgotten)
      const work = must.with({ indexed: limits.index, removals, topics })
      if (room.fits(work, 'trim')) return limits
      if (share === 1) room.wish(work)
    }
    return least && { ...least, must }
  }

  /**
   * Makes room for a whole step of indexing in advance: each partial step would write the rows of many topics again.
   */
  #prepareIndexing(): void {
    const room = this.#room
    const { work } = this.#index
    if (!room.fits(work, 'trim')) room.wish(work)
  }

  /** Whether events have to be added to the index now. */
  get #needsIndex(): boolean {
    return this.#index.isUnderWay || this.#index.isDue || this.#trimmer.needsIndex || this.#purges.needsIndex
  }
}
