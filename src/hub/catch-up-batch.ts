/** A part of the log as bytes, ready to be sent, in a buffer that is used again when everybody has been sent it. */
import type { EventLog } from '../log/log.js'
import { Chunk, CHUNK_FRAME } from '../wire/chunk.js'
import { BatchWriter } from '../wire/batch-writer.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Encoder } from '../wire/sse.js'
import type { Lender } from '../wire/sink.js'

/** The most events that are read at once: reading them holds the event loop. */
export const BATCH_EVENTS = 1_000
/** A batch that fills less of a buffer gets bytes of its own. */
const WORTH_A_BUFFER = BATCH_BYTES / 2
/** How many buffers are kept that nobody uses at the moment. */
const SPARE_BUFFERS = 16

/** What batches are made of. */
export interface CatchUpSource {
  log: EventLog
  encoder: Encoder
  /** The newest sequence that may be sent. */
  head: () => number
  buffers: BatchBuffers
}

export class CatchUpBatch implements Lender {
  /** Which feed it is for: who keeps the batch does not keep the feed. */
  readonly feedId: number
  /** It is what follows this sequence. */
  readonly after: number
  /** The trim mark of the view when it was read. When the view has another, events may be missing from the batch. */
  readonly readAt: number
  /** Resolves when the rest of this is known, and throws HubError `log-unavailable`. */
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
  /** What the chunk is a part of, when it is to be used again. */
  #buffer: Buffer | undefined
  #holders = 1

  /** Whoever makes it holds it. */
  constructor(source: CatchUpSource, feed: Feed, after: number) {
    this.feedId = feed.id
    this.after = this.position = after
    this.readAt = source.log.view.mark
    this.#buffers = source.buffers
    this.read = this.#read(source, feed)
  }

  /** Its bytes stay what they are until everybody who holds it has released it. */
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

/**
 * Buffers for batches. Were each a new one, those that nobody needs any more would be most of what slow readers cost.
 */
export class BatchBuffers {
  readonly #spare: Buffer[] = []

  /** @returns a buffer with room for `BATCH_BYTES` and the frame of a chunk, with anything in it */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES + CHUNK_FRAME)
  }

  /** Nobody may use the buffer any more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffer)
  }
}
