/** Reads of the tables, in time slices, on snapshots that match the state. */
import type { Transaction } from 'lmdb'
import { FairScheduler } from '../../event-loop/fair-scheduler.js'
import { advance, type Work } from '../../event-loop/time-slice.js'
import { notRead } from './refusal.js'
import type { Role } from './role.js'
import { commitsIn, type State } from './state.js'
import type { Snapshot, Tables } from './tables.js'

export class Snapshots {
  readonly #tables: Tables
  readonly #state: State
  readonly #role: () => Role
  readonly #scheduler = new FairScheduler()

  constructor(tables: Tables, state: State, role: () => Role) {
    this.#tables = tables
    this.#state = state
    this.#role = role
  }

  /** Does work in time slices, each on a new snapshot. */
  async run<T>(begin: (snapshot: Snapshot) => Work<T>, isCurrent?: (snapshot: Transaction) => boolean): Promise<T> {
    let work: Work<T> | undefined
    const snapshot: Partial<Snapshot> = {}
    for (;;) {
      const step = await this.look((transaction) => {
        snapshot.transaction = transaction
        work ??= begin(snapshot as Snapshot)
        return advance(work)
      }, isCurrent)
      if (step.done) return step.value
      await this.#scheduler.next()
    }
  }

  /**
   * Reads a snapshot of the tables that matches the state. LMDB shows a transaction to readers a moment before it is
   * part of the state: a read would then miss trimmed events without a gap notice.
   */
  async look<T>(
    read: (snapshot: Transaction) => T,
    isCurrent = (snapshot: Transaction) => this.#state.isSnapshot(this.#tables, snapshot),
  ): Promise<T> {
    for (;;) {
      const snapshot = this.#tables.root.useReadTransaction()
      try {
        if (isCurrent(snapshot)) return read(snapshot)
        const commits = commitsIn(this.#tables, snapshot)
        const isAhead = commits > this.#state.totals.commits
        const applied = isAhead ? await this.#role().whenApplied(commits, () => read(snapshot)) : undefined
        if (applied) return applied.result
      } finally {
        snapshot.done()
      }
      const { lost } = this.#role()
      if (lost) throw notRead(lost)
      await this.#role().settled()
      await this.#scheduler.next() // otherwise all waiting reads would run in one turn of the event loop
    }
  }
}
