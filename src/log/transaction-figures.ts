/** The transactions of a log that stores its events by transactions, as plain numbers. */
import { COUNTS, Histogram, TIMES } from '../observe/histogram.js'

export class TransactionFigures {
  /** The time of each transaction with its flush to disk, in seconds. */
  readonly durations = new Histogram(TIMES)
  /** The number of events that each transaction has stored. */
  readonly events = new Histogram(COUNTS)
}
