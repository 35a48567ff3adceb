/** The port by which a stream's bytes leave the hub. Whatever serves HTTP implements it. */
import type { Chunk } from './chunk.js'

/** Where a subscriber's bytes go: a socket, or something like one. */
export interface Sink {
  /** Is told what happens to the sink. */
  listener: SinkListener | undefined
  /**
   * Sends a chunk. `false`: it is full; exactly one of `drained`, `stalled` and `closed` of the listener follows.
   * @param lender is told once the bytes may be overwritten, where that can be known: not of TLS, HTTP/2 and injected
   *   requests
   */
  write(chunk: Chunk, lender?: Lender): boolean
  /** Sends the last chunk and closes, at once or when the peer has taken it, but does not wait for it for long. */
  end(chunk: Chunk): void
}

/** Whose bytes a sink was given. */
export interface Lender {
  /** The bytes have been sent to the last one. */
  release(): void
}

/** What a sink tells. */
export interface SinkListener {
  /** A sink that was full has room again. */
  drained(): void
  /** A sink that was full has made no progress for as long as is allowed. */
  stalled(): void
  /** The peer has gone, or `end` is done. */
  closed(): void
}
