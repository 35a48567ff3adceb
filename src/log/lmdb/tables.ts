/** The tables of an LMDB log. */
import type { Database, RootDatabase, Transaction } from 'lmdb'
import type { Damage } from './damage.js'
import type { EventsTable } from './events-table.js'
import type { FolderFiles } from './folder-files.js'
import type { TopicRow } from './topic.js'
import type { TransactionGuard } from './transaction-guard.js'

/** The tables. One transaction changes them together, so they are always consistent. */
export interface Tables {
  root: RootDatabase
  /** The files that are open. */
  files: FolderFiles
  /** Reports damaged rows. */
  damage: Damage
  /**
   * `format`, `epoch`, `totals`, `session`, `owner`, `clock`, `records` (the number of transactions that have changed
   * records).
   */
  meta: Database<unknown, string>
  /** Sequence → event. */
  events: EventsTable
  /**
   * [topic id, sequence] → size, and whether the event has a publisher id (`fromIndexEntry`). It has the events up to
   * `Totals.indexed`; the state has the later ones in memory.
   */
  index: Database<number, [number, number]>
  /** Topic → its row. The row may lack events that are not indexed yet. */
  topics: Database<TopicRow, string>
  /** [topic, publisher id] → [sequence, time]. */
  ids: Database<[number, number], [string, string]>
  /** [end of the window, topic, publisher id] → sequence: the ids whose events were removed. */
  orphanIds: Database<number, [number, string, string]>
  /** Topic without events → [topic id, newest trimmed sequence]. */
  emptied: Database<[number, number], string>
  /** Newest trimmed sequence → topic without events. */
  emptiedBySequence: Database<string, number>
  /** Key → value and end of a record (`FileRecords`). */
  records: Database<unknown, string>
  /** [end, key] → 0: the records that expire. */
  recordEnds: Database<number, [number, string]>
  /** Closes the files. */
  close: () => Promise<void>
}

/** The tables of a store that is open for writing. */
export interface WritableTables extends Tables {
  /** Every transaction is checked with it. */
  guard: TransactionGuard
}

/** The snapshot of a read: another transaction after each pause. It always matches the state. */
export interface Snapshot {
  transaction: Transaction
}
