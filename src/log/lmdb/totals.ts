/** The totals of an LMDB log, and their row. */
import { crc32 } from 'node:zlib'
import { StoreError } from './store-error.js'

export interface Totals {
  head: number
  events: number
  bytes: number
  topicIds: number
  trimmed: number
  forgotten: number
  /** The index has all events up to this sequence. */
  indexed: number
}

/** The stored row of the totals. `sum` is the checksum of the other numbers. */
export type TotalsRow = [
  head: number,
  events: number,
  bytes: number,
  topicIds: number,
  trimmed: number,
  forgotten: number,
  indexed: number,
  sum: number,
]

/** The totals of an empty log. */
export const NO_TOTALS: Readonly<Totals> = {
  head: 0,
  events: 0,
  bytes: 0,
  topicIds: 0,
  trimmed: 0,
  forgotten: 0,
  indexed: 0,
}

const totalsSummed = new Float64Array(7)

function sumOfTotals(row: readonly unknown[]): number {
  for (let n = 0; n < totalsSummed.length; n++) totalsSummed[n] = Number(row[n])
  return crc32(totalsSummed)
}

/** Returns the row of totals. */
export function toTotalsRow({ head, events, bytes, topicIds, trimmed, forgotten, indexed }: Totals): TotalsRow {
  const numbers = [head, events, bytes, topicIds, trimmed, forgotten, indexed] as const
  return [...numbers, sumOfTotals(numbers)]
}

/** Returns whether a value is a row of totals with a correct checksum. */
function isTotalsRow(row: unknown): row is TotalsRow {
  return Array.isArray(row) && row.length === totalsSummed.length + 1 && row[totalsSummed.length] === sumOfTotals(row)
}

export function toTotals(row: unknown): Totals {
  if (row === undefined) return { ...NO_TOTALS }
  if (!isTotalsRow(row)) throw new StoreError('The totals of the log are damaged: their checksum is wrong.')
  const [head, events, bytes, topicIds, trimmed, forgotten, indexed] = row
  return { head, events, bytes, topicIds, trimmed, forgotten, indexed }
}
