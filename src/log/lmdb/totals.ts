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
  /** The number of transactions. It tells which state of the log a snapshot shows. */
  commits: number
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
  commits: number,
  sum: number,
]

/** A row that an earlier version has written. */
type RowWithoutCommits = [...numbers: [number, number, number, number, number, number, number], sum: number]

/** The totals of an empty log. */
export const NO_TOTALS: Readonly<Totals> = {
  head: 0,
  events: 0,
  bytes: 0,
  topicIds: 0,
  trimmed: 0,
  forgotten: 0,
  indexed: 0,
  commits: 0,
}

const NUMBERS = 8
const summed = new Float64Array(NUMBERS)

/** Returns the checksum of the first `count` numbers of a row. */
function sumOfTotals(row: readonly unknown[], count = NUMBERS): number {
  for (let n = 0; n < count; n++) summed[n] = Number(row[n])
  return crc32(count === NUMBERS ? summed : summed.subarray(0, count))
}

/** Returns the row of totals. */
export function toTotalsRow({
  head,
  events,
  bytes,
  topicIds,
  trimmed,
  forgotten,
  indexed,
  commits,
}: Totals): TotalsRow {
  const numbers = [head, events, bytes, topicIds, trimmed, forgotten, indexed, commits] as const
  return [...numbers, sumOfTotals(numbers)]
}

/** Returns whether a value is a row of totals with a correct checksum. */
function isTotalsRow(row: unknown): row is TotalsRow | RowWithoutCommits {
  if (!Array.isArray(row) || (row.length !== NUMBERS + 1 && row.length !== NUMBERS)) return false
  return row.at(-1) === sumOfTotals(row, row.length - 1)
}

export function toTotals(row: unknown): Totals {
  if (row === undefined) return { ...NO_TOTALS }
  if (!isTotalsRow(row)) throw new StoreError('The totals of the log are damaged: their checksum is wrong.')
  const [head, events, bytes, topicIds, trimmed, forgotten, indexed] = row
  return { head, events, bytes, topicIds, trimmed, forgotten, indexed, commits: commitsOf(row) }
}

/** Returns the number of transactions in a row of totals; 0: an earlier version has written the row. */
export function commitsOf(row: TotalsRow | RowWithoutCommits): number {
  return row.length === NUMBERS + 1 ? row[NUMBERS - 1]! : 0
}
