/** Changes of records that wait for a transaction. */
import type { RecordChange } from '../log.js'

export interface PendingRecord {
  /** Writes the record within the transaction, and returns the change; `undefined` if nothing changed. */
  write: () => RecordChange | undefined
  bytes: number
  resolve: () => void
  reject: (err: Error) => void
}

/** Writes records and returns their changes. Call it within a transaction. */
export function writeRecords(records: readonly PendingRecord[]): RecordChange[] {
  return records.map(({ write }) => write()).filter((change) => change !== undefined)
}
