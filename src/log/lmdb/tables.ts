/** The tables of a file log, and what is stored in them. */
import type { Database, RootDatabase, Transaction } from 'lmdb'
import type { Damage } from './damage.js'
import type { EventsTable } from './events-table.js'
import type { TopicRow } from './topic.js'

/** The tables. All of them are changed in one transaction, so each is always what the others say. */
export interface Tables {
  root: RootDatabase
  /** What was found damaged. */
  damage: Damage
  /** `format`, `epoch`, `totals`, `session`, `owner`, `clock`, `records` (how many transactions have changed those). */
  meta: Database<unknown, string>
  /** Sequence → event. */
  events: EventsTable
  /**
   * [topic id, sequence] → size and whether the event has a publisher's id (`fromIndexEntry`): which events a topic
   * has, up to what `totals` says; the few behind that are in memory.
   */
  index: Database<number, [number, number]>
  /** Topic → what it had when this was written: at the latest when its events were indexed. */
  topics: Database<TopicRow, string>
  /** [topic, publisher id] → [sequence, time]. */
  ids: Database<[number, number], [string, string]>
  /** [time, topic, publisher id] → sequence: ids whose events are trimmed, and when they may be forgotten. */
  orphanIds: Database<number, [number, string, string]>
  /** Topic that has no events left → [topic id, newest sequence trimmed]. */
  emptied: Database<[number, number], string>
  /** The same by sequence. */
  emptiedBySequence: Database<string, number>
  /** Whatever else is kept: key → value and when it expires (`FileRecords`). */
  records: Database<unknown, string>
  /** [time, key] → 0: the records that expire. */
  recordEnds: Database<number, [number, string]>
}

/** What is read at the moment: another transaction after each interruption. It holds what the state says. */
export interface Snapshot {
  transaction: Transaction
}
