/** A part of the log as bytes that are ready to send. The buffer is reused once every stream has sent it. */
import type { EventLog } from '../log/log.js'
import { Chunk, CHUNK_FRAME } from '../wire/chunk.js'
import { BatchWriter } from '../wire/batch-writer.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Encoder } from '../wire/sse.js'
import type { Lender } from '../wire/sink.js'

/** The maximum number of events of a batch. Reading a batch holds the event loop. */
export const BATCH_EVENTS = 1_000
/** A batch below this size gets bytes of its own, so that its buffer can be reused at once. */
const WORTH_A_BUFFER = BATCH_BYTES / 2
/** The maximum number of unused buffers in the pool. */
const SPARE_BUFFERS = 16

/** The parts of the hub that read a batch. */
export interface CatchUpSource {
  log: EventLog
  encoder: Encoder
  /** Returns the newest sequence that streams may be sent. */
  head: () => number
  buffers: BatchBuffers
}

export class CatchUpBatch implements Lender {
  /** The id of the batch's feed. An id, so that a cached batch does not keep the feed in memory. */
  readonly feedId: number
  /** The sequence before the batch. */
  readonly after: number
  /** The view's trim mark at the read. If the view has another mark now, events may be missing from the batch. */
  readonly readAt: number
  /** Resolves when the fields below are set. Throws HubError `log-unavailable`. */
  readonly read: Promise<void>
  chunk = Chunk.NOTHING
  events = 0
  /** The batch has every matching event up to this sequence. */
  position: number
  /** Whether more events follow. */
  more = false
  /** As `ScanResult.trimmedAt`. */
  trimmedAt: number | undefined
  /** As `ScanResult.mark`. */
  mark = 0
  /** The sequence of the first event. */
  oldest: number | undefined
  readonly #buffers: BatchBuffers
  /** The buffer of the chunk, if the buffer is to be reused. */
  #buffer: Buffer | undefined
  #holders = 1

  /** Starts to read. The caller holds the batch. */
  constructor(source: CatchUpSource, feed: Feed, after: number) {
    this.feedId = feed.id
    this.after = this.position = after
    this.readAt = source.log.view.mark
    this.#buffers = source.buffers
    this.read = this.#read(source, feed)
  }

  /** Keeps the bytes unchanged until `release`. */
  hold(): void {
    this.#holders++
  }

  release(): void {
    if (--this.#holders > 0 || !this.#buffer) return
    this.#buffers.giveBack(this.#buffer)
    this.#buffer = undefined
  }

  async #read({ log, encoder, head }: CatchUpSource, { selection, wire }: Feed): Promise<void> {
    const buffer = this.#buffers.take()
    const writer = new BatchWriter(buffer)
    const span = { after: this.after, until: head() }
    const { position, more, trimmedAt, mark } = await log.scan(selection, span, (event) => {
      const isTaken = writer.blocks < BATCH_EVENTS && encoder.append(writer, event, wire)
      if (isTaken) this.oldest ??= event.sequence
      return isTaken
    })
    this.events = writer.blocks
    this.position = position
    this.more = more
    this.trimmedAt = trimmedAt
    this.mark = mark
    const isInBuffer = writer.buffer === buffer
    if (isInBuffer && writer.length >= WORTH_A_BUFFER) {
      this.#buffer = buffer
      this.chunk = writer.chunk()
      return
    }
    this.chunk = isInBuffer ? writer.chunk().copy() : writer.chunk()
    this.#buffers.giveBack(buffer)
  }
}

/** Pooled buffers: garbage from one-shot buffers would dominate the cost of a slow subscriber. */
export class BatchBuffers {
  readonly #spare: Buffer[] = []

  /** @returns a buffer with room for `BATCH_BYTES` and the frame of a chunk, with arbitrary contents */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES + CHUNK_FRAME)
  }

  /** Returns a buffer to the pool. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffer)
  }
}
