/** Purges of topics that are under way. Each may take several transactions. */
import type { Origin, UnfinishedPurge } from './answers.js'
import type { Change } from './change.js'
import type { State } from './state.js'
import type { Trimmer } from './trimmer.js'

export interface PendingPurge {
  topic: string
  /** The newest sequence that the purge removes. */
  until: number
  /** The number of events that the purge has removed so far. */
  purged: number
  /** The other process that requested the purge. */
  origin?: Origin | undefined
  resolve: (purged: number) => void
  reject: (err: Error) => void
}

/** What one transaction does for a purge. */
export interface PurgeStep {
  purge: PendingPurge
  /** The number of events that the transaction removes. */
  count: number
  /** Whether the purge needs no further transaction. */
  isDone: boolean
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

  /**
   * Adds a purge of the events that a topic has now.
   * @param begun the part that an earlier leader has done: the purge continues there
   */
  add(request: Omit<PendingPurge, keyof UnfinishedPurge>, begun?: UnfinishedPurge): void {
    const { until, purged } = begun ?? { until: this.#state.totals.head, purged: 0 }
    this.#pending.add({ ...request, until, purged })
  }

  pending(): PendingPurge[] {
    return [...this.#pending]
  }

  /** Whether the index lacks events of a purge: only indexed events can be purged. */
  get needsIndex(): boolean {
    for (const purge of this.#pending) if (this.#isUnindexed(purge)) return true
    return false
  }

  /** Removes the next events, at most `limit`. Call it within a transaction. */
  step(change: Change, purges: readonly PendingPurge[], limit: number): PurgeStep[] {
    let left = limit
    return purges.map((purge) => {
      // the topic has no events
      if (!this.#state.topics.has(purge.topic)) return { purge, count: 0, isDone: true }
      if (left === 0) return { purge, count: 0, isDone: false }
      const count = this.#trimmer.purge(change, change.topic(purge.topic), purge.until, left)
      left -= count
      return { purge, count, isDone: left > 0 && !this.#isUnindexed(purge) }
    })
  }

  /**
   * Counts the steps of a transaction. Call it once the transaction is durable.
   * @returns the purges that are done
   */
  apply(steps: readonly PurgeStep[]): PendingPurge[] {
    for (const { purge, count } of steps) purge.purged += count
    return steps.filter(({ isDone }) => isDone).map(({ purge }) => purge)
  }

  /** Resolves purges that are done. */
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
