/**
 * A feed: the streams with the same selection and format, and their shared frames. It holds the frames that some of the
 * streams have not been sent, and builds one batch for all streams at the same offset.
 */
import { Chunk } from '../wire/chunk.js'
import type { Frame } from './frame.js'
import type { Selection } from '../model/selection.js'
import type { Histogram } from '../observe/histogram.js'
import type { Format, Wire } from '../wire/sse.js'

/** Frames that are sent in one write. */
export interface Batch {
  chunk: Chunk
  /** The number of events. */
  events: number
  /** The sequence of the last stored event; `undefined`: all events are ephemeral. */
  sequence: number | undefined
  /** The offset after the batch. */
  to: number
  /** Whether the batch has the maximum size and more frames follow. */
  full: boolean
}

/**
 * The maximum size of a batch, in bytes. A single larger event is a batch of its own. A stalled stream keeps one batch
 * in memory, and a batch of this size needs few system calls.
 */
export const BATCH_BYTES = 64 * 1024

let lastId = 0

/** A stream as its feed sees it. */
export interface FeedStream {
  /**
   * Sends the frames from the stream's offset to the feed's end.
   * @param now on the monotonic clock
   */
  deliver(now?: number): void
}

export class Feed {
  /** Unique among all feeds of the process. */
  readonly id = ++lastId
  readonly selection: Selection
  /** The wire variant of its events. The selection and the format determine it. */
  readonly wire: Wire
  /** The streams that get every new frame. The others of `size` catch up or wait for their sockets. */
  readonly live = new Set<FeedStream>()
  #size = 0
  /** The number of streams that observe. */
  #observers = 0
  /**
   * The number of the last count of subscribers that included this feed. A feed with several matching patterns is
   * counted once.
   */
  #counting = 0
  #isDue = false
  /** The frames have every matching event after this sequence. */
  #floor: number
  readonly #frames: Frame[] = []
  /** The offset of the first frame that is held. Offsets count all frames since the feed began. */
  #start = 0
  /** The last batch that was built, and its first offset. */
  #batch: Batch | undefined
  #batchFrom = -1
  readonly #sizes: Histogram | undefined

  /**
   * @param head the newest sequence: the feed begins after it
   * @param sizes is given the number of events of each batch
   */
  constructor(selection: Selection, format: Format, head: number, sizes?: Histogram) {
    this.selection = selection
    this.#sizes = sizes
    this.wire = { format, topicLine: !selection.isSingleTopic }
    this.#floor = head
  }

  /** The number of streams. */
  get size(): number {
    return this.#size
  }

  /** The number of streams that count as subscribers of a topic. */
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

  /** Counts an observing stream as a subscriber from now on. */
  stopObserving(): void {
    this.#observers--
  }

  /**
   * Counts the subscribers of a topic.
   * @param counting the number of the count
   * @returns 0 if the same count has included this feed before
   */
  count(counting: number): number {
    if (this.#counting === counting) return 0
    this.#counting = counting
    return this.subscribers
  }

  /** Whether the next sweep visits this feed. */
  get isDue(): boolean {
    return this.#isDue
  }

  /** @returns `false` if the feed was due already */
  becomeDue(): boolean {
    if (this.#isDue) return false
    this.#isDue = true
    return true
  }

  /** Ends the visit of a sweep: every stream has got every frame. */
  swept(): void {
    this.#isDue = false
  }

  /** The offset after the newest frame. */
  get end(): number {
    return this.#start + this.#frames.length
  }

  /** Whether the feed holds all frames from an offset on. */
  holds(offset: number): boolean {
    return offset >= this.#start
  }

  /** Adds a frame, unless it was the last one added: an event can match by several patterns. */
  push(frame: Frame): boolean {
    if (this.#frames.at(-1) === frame) return false
    this.#frames.push(frame)
    return true
  }

  /**
   * Returns the offset after a sequence.
   * @param since the feed's end when the stream joined: the stream gets no earlier ephemeral event, and `sequence` is
   *   at least the newest stored sequence at that time
   * @returns `undefined` if the frames do not reach back to the sequence
   */
  offsetAfter(sequence: number, since: number): number | undefined {
    if (sequence < this.#floor) return undefined
    let index = this.#frames.length
    for (; index > 0; index--) {
      const at = this.#frames[index - 1]!.sequence
      if (at !== undefined && at <= sequence) break
    }
    return Math.max(this.#start + index, since)
  }

  /** Returns the ephemeral events from an offset on. */
  ephemeralSince(offset: number): Frame[] {
    return this.#frames.slice(Math.max(0, offset - this.#start)).filter(({ sequence }) => sequence === undefined)
  }

  /** Returns the batch from an offset on. The feed must hold the offset, and it must not be the end. */
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
    this.#sizes?.observe(parts.length)
    return {
      chunk: Chunk.join(parts),
      events: parts.length,
      sequence,
      to: this.#start + index,
      full: index < this.#frames.length,
    }
  }

  /** Releases all frames. Streams that still need them read the log. */
  releaseAll(): void {
    this.#release(this.#frames.length)
  }

  /** Releases the frames before an order. */
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
    // a new array would leave the old one, with its frames, to the next collection of V8's old generation
    this.#frames.splice(0, count)
    this.#start += count
    this.#batch = undefined
  }
}
