/** Changes of records that wait for a transaction. */
import type { RecordChange } from '../log.js'
import type { Origin } from './answers.js'

export interface PendingRecord {
  /** Writes the record within the transaction. Returns the change, or why there is none. */
  write: () => RecordChange | 'unchanged' | 'refused'
  bytes: number
  /** The other process that requested the change. */
  origin?: Origin | undefined
  /** @param isDone `false`: the condition of the change was not met */
  resolve: (isDone: boolean) => void
  reject: (err: Error) => void
}
