/** Purges of topics that are under way. Each takes as many transactions as it needs. */
import type { Change } from './change.js'
import type { State } from './state.js'
import type { Trimmer } from './trimmer.js'

export interface PendingPurge {
  topic: string
  /** Newer events than this sequence stay. */
  until: number
  /** How many events have been removed so far. */
  purged: number
  resolve: (purged: number) => void
  reject: (err: Error) => void
}

export class PurgeQueue {
  readonly #state: State
  readonly #trimmer: Trimmer
  readonly #pending = new Set<PendingPurge>()

  constructor(state: State, trimmer: Trimmer) {
    this.#state = state
    this.#trimmer = trimmer
  }

  get size(): number {
    return this.#pending.size
  }

  /** Purges what a topic has now. */
  add(topic: string, resolve: (purged: number) => void, reject: (err: Error) => void): void {
    this.#pending.add({ topic, until: this.#state.totals.head, purged: 0, resolve, reject })
  }

  pending(): PendingPurge[] {
    return [...this.#pending]
  }

  /** Whether events that are to be purged are not in the index yet: they are purged once they are. */
  get needsIndex(): boolean {
    for (const purge of this.#pending) if (this.#isUnindexed(purge)) return true
    return false
  }

  /**
   * Removes the next events, at most `limit`; within a transaction.
   * @returns what to do when the transaction is durable, before those who wait are told
   */
  step(change: Change, purges: readonly PendingPurge[], limit: number): () => PendingPurge[] {
    let left = limit
    const steps = purges.map((purge) => {
      // the topic had no event when it was purged, or has none any more
      if (!this.#state.topics.has(purge.topic)) return { purge, count: 0, isDone: true }
      if (left === 0) return { purge, count: 0, isDone: false }
      const count = this.#trimmer.purge(change, change.topic(purge.topic), purge.until, left)
      left -= count
      return { purge, count, isDone: left > 0 && !this.#isUnindexed(purge) }
    })
    return () => {
      for (const { purge, count } of steps) purge.purged += count
      return steps.filter(({ isDone }) => isDone).map(({ purge }) => purge)
    }
  }

  /** Tells those who wait that their purges are done. */
  resolve(purges: readonly PendingPurge[]): void {
    for (const purge of purges) if (this.#pending.delete(purge)) purge.resolve(purge.purged)
  }

  reject(purges: readonly PendingPurge[], err: Error): void {
    for (const purge of purges) if (this.#pending.delete(purge)) purge.reject(err)
  }

  #isUnindexed({ topic, until }: PendingPurge): boolean {
    const [oldest] = this.#state.topics.get(topic)?.recent ?? []
    return oldest !== undefined && oldest <= until
  }
}
