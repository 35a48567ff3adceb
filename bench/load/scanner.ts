/**
 * Reads the events of many streams out of their bytes, and checks that each stream has them in log order with none
 * missing and none twice. Decodes and allocates nothing: a million events a second must leave time for the sockets. The
 * frames of a chunked body are passed over like any other bytes: they stand between whole blocks, and have no mark.
 */
import { Histogram } from './histogram.js'
import { MARK_LENGTH, readNumber, readPublisher, readTime, TILDE } from './mark.js'

/** As many bytes before a mark are kept with it when a chunk ends inside: the event's `id:` line, and `data: "`. */
const BEFORE_MARK = 64
/** No more bytes than this are ever kept of a stream between two chunks. */
export const MAX_KEPT = BEFORE_MARK + MARK_LENGTH
/** Between the end of the `id:` line and the mark: `\ndata: "`. */
const DATA_PREFIX = 8

/** The most publishers that there may be. */
export const MAX_PUBLISHERS = 64

export class Scanner {
  readonly latency = new Histogram()
  /** How many events have come, on all streams. */
  delivered = 0
  /** How many came with a cursor that is not behind the one before. */
  disordered = 0
  /** How many came that are not the next one of their publisher. */
  misplaced = 0
  /** When the newest event came, in microseconds. */
  lastAt = 0
  readonly #sequence: Float64Array
  readonly #next: Uint32Array
  /** From one mark to the next. */
  #stride = 0

  constructor(streams: number) {
    this.#sequence = new Float64Array(streams)
    this.#next = new Uint32Array(streams * MAX_PUBLISHERS)
  }

  /**
   * Reads what has come on a stream.
   * @param at when it came, in microseconds
   * @returns where the bytes begin that are to stand before what comes next on this stream, at most `MAX_KEPT`
   */
  scan(stream: number, bytes: Buffer, from: number, to: number, at: number): number {
    let done = from
    let mark = bytes.indexOf(TILDE, from)
    while (mark !== -1 && mark + MARK_LENGTH <= to) {
      this.#take(stream, bytes, mark, at)
      done = mark + MARK_LENGTH
      const guess = mark + this.#stride // most events are as long as the one before
      const next = guess >= done && guess < to && bytes[guess] === TILDE ? guess : bytes.indexOf(TILDE, done)
      if (next !== -1 && next < to) this.#stride = next - mark // what lies behind `to` is of another stream
      mark = next
    }
    const begun = mark !== -1 && mark < to
    return Math.max(done, (begun ? mark : to) - BEFORE_MARK)
  }

  /** Forgets what has been measured, but not where each stream is. */
  clear(): void {
    this.latency.clear()
    this.delivered = this.disordered = this.misplaced = this.lastAt = 0
  }

  #take(stream: number, bytes: Buffer, mark: number, at: number): void {
    this.delivered++
    this.lastAt = at
    this.latency.add(at - readTime(bytes, mark))

    const sequence = readSequence(bytes, mark - DATA_PREFIX)
    if (!(sequence > this.#sequence[stream]!)) this.disordered++
    this.#sequence[stream] = sequence

    const place = stream * MAX_PUBLISHERS + readPublisher(bytes, mark)
    const number = readNumber(bytes, mark)
    if (number !== this.#next[place]) this.misplaced++
    this.#next[place] = number + 1
  }
}

/** The sequence number of a cursor, `<epoch>-<sequence>`, that ends before `end`. */
function readSequence(bytes: Buffer, end: number): number {
  let value = 0
  let unit = 1
  for (let index = end - 1; index >= 0; index--) {
    const digit = bytes[index]! - 0x30
    if (digit < 0 || digit > 9) return unit === 1 ? NaN : value
    value += digit * unit
    unit *= 10
  }
  return NaN
}
