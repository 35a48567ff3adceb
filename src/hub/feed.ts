/**
 * A feed is read by all streams with the same selection and format. It holds the frames that some of them have not been
 * sent, and builds one batch for all streams that stand at the same place.
 */
import { Chunk } from '../wire/chunk.js'
import type { Frame } from './frame.js'
import type { Selection } from '../model/selection.js'
import type { Format, Wire } from '../wire/sse.js'

/** Frames that are written at once. */
export interface Batch {
  chunk: Chunk
  /** How many events it has. */
  events: number
  /** The sequence of its last stored event; `undefined`: it has only ephemeral ones. */
  sequence: number | undefined
  /** The place in the feed behind it. */
  to: number
  /** It is as large as a batch may be, and more follows. */
  full: boolean
}

/**
 * The most bytes of a batch, unless a single event is larger. A stalled stream keeps one batch in memory, and a batch
 * of this size needs few system calls.
 */
export const BATCH_BYTES = 64 * 1024

let lastId = 0

/** A stream that reads a feed while it is live. */
export interface FeedReader {
  /**
   * Sends everything from its place to the feed's end.
   * @param now on the monotonic clock
   */
  deliver(now?: number): void
}

export class Feed {
  /** Its own, of all feeds of the process. */
  readonly id = ++lastId
  readonly selection: Selection
  /** The wire variant of its events. The selection and the format determine it. */
  readonly wire: Wire
  /** The streams that are sent every new frame. The others of `size` catch up or wait for their sockets. */
  readonly live = new Set<FeedReader>()
  #size = 0
  /** How many of the streams observe. */
  #observers = 0
  /** The number of the last count of subscribers that has this feed: it counts once, by however many patterns. */
  counting = 0
  /** Whether the next sweep visits this feed. */
  due = false
  /** Every event that matches and lies behind this sequence is in the frames. */
  #floor: number
  readonly #frames: Frame[] = []
  /** The place of the first frame; places are counted from the feed's beginning. */
  #start = 0
  /** The batch that was built last, and where it begins. */
  #batch: Batch | undefined
  #batchFrom = -1

  /** @param head the newest sequence: the feed begins behind it */
  constructor(selection: Selection, format: Format, head: number) {
    this.selection = selection
    this.wire = { format, topicLine: !selection.isSingleTopic }
    this.#floor = head
  }

  /** How many streams read this feed. */
  get size(): number {
    return this.#size
  }

  /** How many of them count as subscribers of a topic. */
  get subscribers(): number {
    return this.#size - this.#observers
  }

  enter(observes: boolean): void {
    this.#size++
    if (observes) this.#observers++
  }

  leave(observes: boolean): void {
    this.#size--
    if (observes) this.#observers--
  }

  /** A stream that observed counts as a subscriber from now on. */
  stopObserving(): void {
    this.#observers--
  }

  /** The place behind the newest frame. */
  get end(): number {
    return this.#start + this.#frames.length
  }

  /** Whether `place` can still be read from. */
  holds(place: number): boolean {
    return place >= this.#start
  }

  /** Takes a frame, unless it just did: an event can match by several patterns. */
  push(frame: Frame): boolean {
    if (this.#frames.at(-1) === frame) return false
    this.#frames.push(frame)
    return true
  }

  /**
   * Returns the place from which a stream reads on that has read everything up to `sequence`.
   * @param since the feed's end when the stream came: it gets no ephemeral event before it, and `sequence` is at least
   *   that of the newest stored event then
   * @returns `undefined` when the frames do not reach back that far
   */
  placeAfter(sequence: number, since: number): number | undefined {
    if (sequence < this.#floor) return undefined
    let index = this.#frames.length
    for (; index > 0; index--) {
      const at = this.#frames[index - 1]!.sequence
      if (at !== undefined && at <= sequence) break
    }
    return Math.max(this.#start + index, since)
  }

  /** The ephemeral events that it holds from a place on. */
  ephemeralSince(place: number): Frame[] {
    return this.#frames.slice(Math.max(0, place - this.#start)).filter(({ sequence }) => sequence === undefined)
  }

  /** Returns the batch behind `from`, a place that is held and not the end. */
  batch(from: number): Batch {
    if (this.#batchFrom === from && this.#batch && (this.#batch.full || this.#batch.to === this.end)) return this.#batch
    this.#batchFrom = from
    this.#batch = this.#build(from)
    return this.#batch
  }

  #build(from: number): Batch {
    const parts: Chunk[] = []
    let length = 0
    let sequence: number | undefined
    let index = from - this.#start
    for (; index < this.#frames.length; index++) {
      const frame = this.#frames[index]!
      const chunk = frame.chunk(this.wire)
      if (parts.length > 0 && length + chunk.length > BATCH_BYTES) break
      parts.push(chunk)
      length += chunk.length
      if (frame.sequence !== undefined) sequence = frame.sequence
    }
    return {
      chunk: Chunk.join(parts),
      events: parts.length,
      sequence,
      to: this.#start + index,
      full: index < this.#frames.length,
    }
  }

  /** Releases every frame. Streams that have not read them read them from the log. */
  releaseAll(): void {
    this.#release(this.#frames.length)
  }

  /** Releases the frames that are older than the frame of that order. */
  releaseOlder(order: number): void {
    let count = 0
    while (count < this.#frames.length && this.#frames[count]!.order < order) count++
    this.#release(count)
  }

  #release(count: number): void {
    if (count === 0) return
    for (let index = count - 1; index >= 0; index--) {
      const { sequence } = this.#frames[index]!
      if (sequence === undefined) continue
      this.#floor = Math.max(this.#floor, sequence)
      break
    }
    // with a new array, the old one would keep frames until V8 looks through its old generation
    this.#frames.splice(0, count)
    this.#start += count
    this.#batch = undefined
  }
}
