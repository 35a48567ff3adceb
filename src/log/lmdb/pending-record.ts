/** Records that wait for a transaction. */
import type { RecordChange } from '../log.js'

export interface PendingRecord {
  /** @returns what it has changed; `undefined`: nothing */
  write: () => RecordChange | undefined
  bytes: number
  resolve: () => void
  reject: (err: Error) => void
}

/** Writes records; within a transaction. Returns what has changed. */
export function writeRecords(records: readonly PendingRecord[]): RecordChange[] {
  return records.map(({ write }) => write()).filter((change) => change !== undefined)
}
