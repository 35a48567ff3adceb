/**
 * The role of a process in a folder: the leader writes, and a replica asks the leader to write. Both apply the same
 * transactions to their state, and read the tables themselves.
 */
import type { NewEvent } from '../../model/event.js'
import type { Appended, AppendOptions, PutOptions } from '../log.js'

export interface Role {
  /** As `LogView.failure`. */
  readonly failure: Error | undefined
  /** Why the tables cannot be read consistently any more; `undefined`: they can. */
  readonly lost: Error | undefined
  /** As `EventLog.append`. */
  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]>
  /** As `KeyValue.put`. The caller must not change `value` later. */
  putRecord(key: string, value: unknown, options: PutOptions): Promise<void>
  /** As `KeyValue.swap`. The caller must not change the values later. */
  swapRecord(key: string, expected: unknown, value: unknown): Promise<boolean>
  /** As `KeyValue.delete`. */
  deleteRecord(key: string): Promise<void>
  /** As `EventLog.purge`. */
  purge(topic: string): Promise<number>
  /** As `EventLog.catchUp`. */
  catchUp(): Promise<void>
  /** Resolves when the state may match a new snapshot. */
  settled(): Promise<void>
  /**
   * Reads a snapshot once the state matches it.
   * @param commits the number of the snapshot's transaction, which the state has not applied yet
   * @param read is called in the turn in which the state has applied the transaction, before the next transaction
   * @returns `undefined`, or a promise of `undefined`, if `read` will not be called: try again with a new snapshot
   */
  whenApplied<T>(commits: number, read: () => T): Promise<{ result: T } | undefined> | undefined
  /** Begins no further write. Resolves when no write is running. */
  halt(): Promise<void>
  /** Ends the role after all writes that have been requested. */
  close(): Promise<void>
}
