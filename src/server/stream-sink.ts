/** The sink of a subscriber, on a socket, an HTTP/2 stream or a response. */
import { ServerResponse } from 'node:http'
import type { Http2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Lender, Sink, SinkListener } from '../wire/sink.js'
import type { Chunk } from '../wire/chunk.js'
import { writerTo, type DirectWriter } from './direct-writer.js'
import type { SinkWatch, Watched } from './sink-watch.js'
import type { Reachable } from './vanished-peers.js'

/** The target of a stream's blocks: a socket, an HTTP/2 stream, or a response that keeps its socket or was injected. */
export type StreamBody = Socket | Http2Stream | ServerResponse

/** How long the peer may take to receive the end of its stream, in milliseconds. */
export const END_GRACE = 2_000

/**
 * The size of the pieces of a large write to Node's streams, in bytes. Pieces make the progress of the peer visible.
 * The size is the maximum of an HTTP/2 frame and of a TLS record.
 */
const PIECE = 16 * 1024

export interface SinkOptions {
  /** Whether the body is chunked (RFC 9112, 7.1). The sink writes the frames of the chunks. */
  isChunked: boolean
  /** Whether to write to a plain socket with a direct writer. */
  isDirect: boolean
  /** How long a sink may be full without progress, in milliseconds. */
  slowTimeout: number
  /** Checks full and ending sinks. */
  watch: SinkWatch
  /** The sinks that are open. */
  open: Set<Reachable>
}

/** @returns a sink that owns the body: no other code may write to it, end it or set its timeout */
export function openSink(body: StreamBody, options: SinkOptions): Sink {
  const canBeDirect = options.isDirect && body instanceof Socket && !(body instanceof TLSSocket)
  return new StreamSink(body, options, canBeDirect ? writerTo(body) : undefined)
}

/** Bytes that are not yet passed to the body. */
interface Part {
  bytes: Buffer
  lender?: Lender | undefined
}

class StreamSink implements Sink, Watched, Reachable {
  // The fields of a write come first, so that they share cache lines: with a thousand streams each line is a cache
  // miss.
  listener: SinkListener | undefined
  /** Used while the buffer of the stream is empty. */
  readonly #writer: DirectWriter | undefined
  #isDirect = false
  readonly #isChunked: boolean
  #isFull = false
  #isEnded = false
  #isClosed = false
  #isWatched = false
  /** The rest of a large write, and later writes, not yet passed to the body. */
  #rest: Part[] | undefined
  /** The minimum of unsent bytes since the sink became full. A new minimum is progress of the peer. */
  #waiting = 0
  /** The time of the last progress, or of the end of the sink, on the clock of the watch. */
  #since = 0
  readonly #body: StreamBody
  /** The socket of the body, unless HTTP/2 streams share it. */
  readonly #socket: Socket | undefined
  readonly #slowTimeout: number
  readonly #watch: SinkWatch
  readonly #open: Set<Reachable>

  constructor(
    body: StreamBody,
    { isChunked, slowTimeout, watch, open }: SinkOptions,
    writer: DirectWriter | undefined,
  ) {
    this.#body = body
    this.#socket = socketOf(body)
    this.#isChunked = isChunked
    this.#slowTimeout = slowTimeout
    this.#watch = watch
    this.#writer = writer
    this.#open = open.add(this)
    if (writer) writer.onDrain = () => this.#drained()
    body.on('drain', () => this.#drained())
    body.once('close', () => this.#closed())
    body.on('error', () => undefined) // a reset by the peer; 'close' follows
    this.#socket?.once('end', () => this.#peerEnded())
  }

  get connection(): Reachable['connection'] {
    if (this.#socket || this.#body instanceof Socket || this.#body instanceof ServerResponse) return this.#socket
    const { session } = this.#body
    return session && !session.destroyed ? session.socket : undefined // a destroyed session throws
  }

  abandon(): void {
    if (this.#body instanceof Socket || this.#body instanceof ServerResponse) this.#body.destroy()
    else this.#body.session?.destroy() // all streams of a session have the same peer
  }

  write(chunk: Chunk, lender?: Lender): boolean {
    const bytes = this.#isChunked ? chunk.framed : chunk.plain
    this.#isDirect ||= this.#canBeDirect()
    if (this.#isDirect ? this.#writer!.write(bytes, lender) : this.#writeToStream(bytes, lender)) return true
    if (this.#isFull) this.#waiting += bytes.length
    else if (!this.#isEnded) {
      this.#isFull = true
      this.#waiting = this.#unsent()
      this.#limitTime()
    }
    return false
  }

  /** Ends the stream with the last chunk, by which the client distinguishes an end from a broken connection. */
  end(chunk: Chunk): void {
    if (this.#isEnded) return
    const bytes = this.#isChunked ? chunk.framedAsLast : chunk.plain
    this.#beginToEnd()
    if (this.#rest) this.#rest.push({ bytes })
    else this.#body.end(bytes)
  }

  check(now: number): boolean {
    const isOver = now - this.#since >= (this.#isEnded ? END_GRACE : this.#slowTimeout)
    if (this.#isEnded) {
      if (isOver) this.#body.destroy()
    } else if (this.#isFull) {
      const waiting = this.#unsent()
      if (waiting < this.#waiting) {
        this.#waiting = waiting
        this.#since = now
      } else if (isOver) {
        this.#since = Infinity // report the stall once
        this.listener?.stalled()
      }
    }
    return (this.#isWatched = !this.#isClosed && (this.#isFull || this.#isEnded))
  }

  /** Whether the direct writer can be used: the buffer of the stream is empty. */
  #canBeDirect(): boolean {
    return this.#writer !== undefined && !this.#isEnded && !this.#rest && this.#body.writableLength === 0
  }

  /** Writes to the stream. `write` may return `false` although the kernel has taken all: check the buffer too. */
  #writeToStream(bytes: Buffer, lender?: Lender): boolean {
    if (this.#isEnded) return false
    if (this.#rest) {
      this.#rest.push({ bytes, lender })
      return false
    }
    if (bytes.length > PIECE && !this.#isInjected()) {
      this.#rest = [{ bytes, lender }]
      this.#writePiece()
      return false
    }
    const hasRoom = lender ? this.#body.write(bytes, (err) => err ?? lender.release()) : this.#body.write(bytes)
    return hasRoom || this.#body.writableLength === 0
  }

  /** Whether the body is a response without a socket, which never calls back after a write. */
  #isInjected(): boolean {
    return this.#body instanceof ServerResponse && !this.#socket
  }

  #writePiece(): void {
    const rest = this.#rest
    if (!rest) return // closed meanwhile
    const [first] = rest
    if (!first) {
      this.#rest = undefined
      if (this.#isEnded) this.#body.end()
      else this.#drained()
      return
    }
    const { bytes, lender } = first
    const isLast = bytes.length <= PIECE
    if (isLast) rest.shift()
    else rest[0] = { bytes: bytes.subarray(PIECE), lender }
    this.#body.write(bytes.subarray(0, PIECE), (err) => {
      if (err) return
      if (isLast) lender?.release()
      this.#writePiece()
    })
  }

  /** The number of bytes that the kernel, or the session of HTTP/2, has not taken yet. */
  #unsent(): number {
    if (this.#isDirect) return this.#writer!.waiting
    return (this.#rest ?? []).reduce((sum, { bytes }) => sum + bytes.length, this.#body.writableLength)
  }

  /** Starts the time limit of the sink. */
  #limitTime(): void {
    this.#since = this.#watch.now
    if (this.#isWatched) return
    this.#isWatched = true
    this.#watch.add(this)
  }

  #beginToEnd(): void {
    this.#isEnded = true
    this.#isFull = this.#isDirect = false
    this.#limitTime()
  }

  #drained(): void {
    if (!this.#isFull || this.#rest) return
    this.#isFull = false
    this.listener?.drained()
  }

  /** Handles the end of the peer's side. The connection ends then, as in Node's HTTP. */
  #peerEnded(): void {
    if (this.#isEnded) return
    this.#beginToEnd()
    this.#rest = undefined
    if (this.#body instanceof Socket) this.#body.end()
    this.listener?.closed()
  }

  #closed(): void {
    this.#isClosed = this.#isEnded = true
    this.#open.delete(this)
    this.#isFull = this.#isDirect = false
    this.#rest = undefined
    this.listener?.closed()
  }
}

function socketOf(body: StreamBody): Socket | undefined {
  if (body instanceof Socket) return body
  return body instanceof ServerResponse && body.socket instanceof Socket ? body.socket : undefined
}
