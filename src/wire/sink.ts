/** The port through which the bytes of a stream leave the hub. The HTTP server implements it. */
import type { Chunk } from './chunk.js'

/** Takes the bytes of one stream. */
export interface Sink {
  /** Gets the events of the sink. */
  listener: SinkListener | undefined
  /**
   * Sends a chunk.
   * @param lender called when the bytes may be overwritten. It is never called for injected requests, which do not
   *   report that, and if the stream closes first
   * @returns `false` if the sink is full. Then exactly one of `drained`, `stalled` and `closed` of the listener follows
   */
  write(chunk: Chunk, lender?: Lender): boolean
  /** Sends the last chunk, and closes when the peer has taken it or after a short time limit. */
  end(chunk: Chunk): void
}

/** The owner of bytes that were passed to a sink. */
export interface Lender {
  /** Called when all bytes have been sent. */
  release(): void
}

/** The events of a sink. */
export interface SinkListener {
  /** The sink was full and has room again. */
  drained(): void
  /** The sink was full and made no progress within the time limit. */
  stalled(): void
  /** The peer has gone, or `end` has finished. */
  closed(): void
}
