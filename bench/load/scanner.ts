/**
 * Finds the events in the bytes of many streams, and checks that each stream has them in log order, without missing
 * events and duplicates. It decodes and allocates nothing, since at a million events per second the sockets need the
 * time. It skips the frames of a chunked body, which are between whole blocks and have no mark.
 */
import { Histogram } from './histogram.js'
import { MARK_LENGTH, readNumber, readPublisher, readTime, TILDE } from './mark.js'

/**
 * The number of bytes before an incomplete mark that are kept for the next read: the event's `id:` line, and `data: "`.
 */
const BEFORE_MARK = 64
/** The maximum number of bytes of a stream that are kept between two reads. */
export const MAX_KEPT = BEFORE_MARK + MARK_LENGTH
/** The number of bytes between the id and the mark: `\ndata: "`. */
const DATA_PREFIX = 8

/** The maximum number of publishers. */
export const MAX_PUBLISHERS = 64

export class Scanner {
  readonly latency = new Histogram()
  /** The number of received events on all streams. */
  delivered = 0
  /** The number of events whose sequence is not greater than the one before on the stream. */
  disordered = 0
  /** The number of events that are not the next event of their publisher. */
  misplaced = 0
  /** The time of the newest event, in microseconds. */
  lastAt = 0
  readonly #sequence: Float64Array
  readonly #next: Uint32Array
  /** The distance between the last two marks, in bytes. */
  #stride = 0

  constructor(streams: number) {
    this.#sequence = new Float64Array(streams)
    this.#next = new Uint32Array(streams * MAX_PUBLISHERS)
  }

  /**
   * Reads received bytes of a stream.
   * @param at the time of their receipt, in microseconds
   * @returns the start of the bytes to keep before the next read of this stream, at most `MAX_KEPT` bytes
   */
  scan(stream: number, bytes: Buffer, from: number, to: number, at: number): number {
    let done = from
    let mark = bytes.indexOf(TILDE, from)
    while (mark !== -1 && mark + MARK_LENGTH <= to) {
      this.#take(stream, bytes, mark, at)
      done = mark + MARK_LENGTH
      const guess = mark + this.#stride // most events are as long as the one before
      const next = guess >= done && guess < to && bytes[guess] === TILDE ? guess : bytes.indexOf(TILDE, done)
      if (next !== -1 && next < to) this.#stride = next - mark // the bytes after `to` are of another stream
      mark = next
    }
    const begun = mark !== -1 && mark < to
    return Math.max(done, (begun ? mark : to) - BEFORE_MARK)
  }

  /** Resets the counts, but not the cursor of each stream. */
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

    const slot = stream * MAX_PUBLISHERS + readPublisher(bytes, mark)
    const number = readNumber(bytes, mark)
    if (number !== this.#next[slot]) this.misplaced++
    this.#next[slot] = number + 1
  }
}

/** Returns the sequence of the cursor (`<epoch>-<sequence>`) that ends before `end`. */
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
