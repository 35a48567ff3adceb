/** A part of the log as bytes, ready to be sent, in a buffer that is reused once every stream has sent it. */
import type { EventLog } from '../log/log.js'
import { Chunk, CHUNK_FRAME } from '../wire/chunk.js'
import { BatchWriter } from '../wire/batch-writer.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Encoder } from '../wire/sse.js'
import type { Lender } from '../wire/sink.js'

/** The most events of a batch: reading them holds the event loop. */
export const BATCH_EVENTS = 1_000
/** A batch that fills less of a buffer gets bytes of its own. */
const WORTH_A_BUFFER = BATCH_BYTES / 2
/** The most unused buffers that are kept. */
const SPARE_BUFFERS = 16

/** What a batch is read with. */
export interface CatchUpSource {
  log: EventLog
  encoder: Encoder
  /** The newest sequence that may be sent. */
  head: () => number
  buffers: BatchBuffers
}

export class CatchUpBatch implements Lender {
  /** The id of its feed: a batch that is kept does not keep the feed. */
  readonly feedId: number
  /** Its events lie behind this sequence. */
  readonly after: number
  /** The trim mark of the view when it was read. When the view has another, events may be missing from the batch. */
  readonly readAt: number
  /** Resolves when the fields below are set. Throws HubError `log-unavailable`. */
  readonly read: Promise<void>
  chunk = Chunk.NOTHING
  events = 0
  /** The sequence up to which it is complete. */
  position: number
  /** Whether further events follow it. */
  more = false
  /** As `ScanResult.trimmedAt`. */
  trimmedAt: number | undefined
  /** As `ScanResult.mark`. */
  mark = 0
  /** The sequence of its first event. */
  oldest: number | undefined
  readonly #buffers: BatchBuffers
  /** The buffer of the chunk, where it is to be reused. */
  #buffer: Buffer | undefined
  #holders = 1

  /** Begins to read. The caller holds the batch. */
  constructor(source: CatchUpSource, feed: Feed, after: number) {
    this.feedId = feed.id
    this.after = this.position = after
    this.readAt = source.log.view.mark
    this.#buffers = source.buffers
    this.read = this.#read(source, feed)
  }

  /** Keeps its bytes as they are until `release`. */
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

  /** @returns a buffer with room for `BATCH_BYTES` and the frame of a chunk, with anything in it */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES + CHUNK_FRAME)
  }

  /** Returns a buffer that is used no more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffer)
  }
}
