/** A subscriber's sink that is a socket, or something like one. */
import { ServerResponse } from 'node:http'
import type { Http2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Lender, Sink, SinkListener } from '../wire/sink.js'
import type { Chunk } from '../wire/chunk.js'
import { writerTo, type DirectWriter } from './direct-writer.js'
import type { SinkWatch, Watched } from './sink-watch.js'
import type { Reachable } from './vanished-peers.js'

/**
 * Where a stream's blocks go: a socket, an HTTP/2 stream or a response, where that keeps its socket or the request was
 * injected.
 */
export type StreamBody = Socket | Http2Stream | ServerResponse

/** How long a peer may take to receive the end of its stream, in milliseconds. */
export const END_GRACE = 2_000

/**
 * A large write reaches Node's streams in pieces of this many bytes, which show that the peer takes some of it. It is
 * the largest frame of HTTP/2 and the largest record of TLS.
 */
const PIECE = 16 * 1024

export interface SinkOptions {
  /** The body is sent in chunks (RFC 9112, 7.1), whose frames are written here. */
  isChunked: boolean
  /** A plain socket is written past the buffer of its stream. */
  isDirect: boolean
  /** How long a sink may be full without progress, in milliseconds. */
  slowTimeout: number
  /** Looks at the sinks that are full or ending. */
  watch: SinkWatch
  /** The sinks that are open. */
  open: Set<Reachable>
}

/** @returns a sink that owns the body: nothing else may write to it, end it or set its time-out */
export function openSink(body: StreamBody, options: SinkOptions): Sink {
  const canBeDirect = options.isDirect && body instanceof Socket && !(body instanceof TLSSocket)
  return new StreamSink(body, options, canBeDirect ? writerTo(body) : undefined)
}

class StreamSink implements Sink, Watched, Reachable {
  // The fields of each write stand together at the beginning: with a thousand streams every line of memory is a cache
  // miss.
  listener: SinkListener | undefined
  /** Used while nothing is left in the stream's own buffer. */
  readonly #writer: DirectWriter | undefined
  #isDirect = false
  readonly #isChunked: boolean
  #isFull = false
  #isEnded = false
  #isClosed = false
  #isWatched = false
  /** What the body has not been given yet of a large write, and of what came behind it. */
  #rest: Buffer[] | undefined
  /** The least number of bytes that have waited since the sink is full. */
  #waiting = 0
  /** When that was last less than before; then, when the sink was ended. On the clock of `performance.now()`. */
  #since = 0
  readonly #body: StreamBody
  /** The body's socket, where it has one for itself. */
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
    return this.#body.session?.socket
  }

  abandon(): void {
    if (this.#body instanceof Socket || this.#body instanceof ServerResponse) this.#body.destroy()
    else this.#body.session?.destroy() // the peer of one stream is that of all
  }

  write(chunk: Chunk, lender?: Lender): boolean {
    const bytes = this.#isChunked ? chunk.framed : chunk.plain
    this.#isDirect ||= this.#canBeDirect()
    if (this.#isDirect ? this.#writer!.write(bytes, lender) : this.#writeToStream(bytes)) return true
    if (this.#isFull) this.#waiting += bytes.length
    else if (!this.#isEnded) {
      this.#isFull = true
      this.#waiting = this.#unsent()
      this.#limitTime()
    }
    return false
  }

  /** The last chunk tells a stream that the hub ends from one that is cut off, also by `look`. */
  end(chunk: Chunk): void {
    if (this.#isEnded) return
    const bytes = this.#isChunked ? chunk.framedAsLast : chunk.plain
    this.#beginToEnd()
    if (this.#rest) this.#rest.push(bytes)
    else this.#body.end(bytes)
  }

  look(now: number): boolean {
    const isOver = now - this.#since >= (this.#isEnded ? END_GRACE : this.#slowTimeout)
    if (this.#isEnded) {
      if (isOver) this.#body.destroy()
    } else if (this.#isFull) {
      const waiting = this.#unsent()
      if (waiting < this.#waiting) {
        this.#waiting = waiting
        this.#since = now
      } else if (isOver) {
        this.#since = Infinity // it is told once
        this.listener?.stalled()
      }
    }
    return (this.#isWatched = !this.#isClosed && (this.#isFull || this.#isEnded))
  }

  /** Whether there is a direct way, and nothing is left in the stream's own buffer. */
  #canBeDirect(): boolean {
    return this.#writer !== undefined && !this.#isEnded && !this.#rest && this.#body.writableLength === 0
  }

  /** The stream says that it is full also when the kernel has taken everything at once; then nothing is left in it. */
  #writeToStream(bytes: Buffer): boolean {
    if (this.#isEnded) return false
    if (this.#rest) {
      this.#rest.push(bytes)
      return false
    }
    if (bytes.length > PIECE && !this.#isInjected()) {
      this.#rest = [bytes]
      this.#writePiece()
      return false
    }
    return this.#body.write(bytes) || this.#body.writableLength === 0
  }

  /** A response without a socket, which does not say when it has written something. */
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
    if (first.length > PIECE) rest[0] = first.subarray(PIECE)
    else rest.shift()
    this.#body.write(first.subarray(0, PIECE), (err) => {
      if (!err) this.#writePiece()
    })
  }

  /** How many bytes neither the kernel nor, of HTTP/2, the session has taken yet. */
  #unsent(): number {
    if (this.#isDirect) return this.#writer!.waiting
    return (this.#rest ?? []).reduce((sum, { length }) => sum + length, this.#body.writableLength)
  }

  /** The sink's time runs from now on. */
  #limitTime(): void {
    this.#since = performance.now()
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

  /**
   * The peer sends nothing more: as with Node's HTTP, which has ended the socket of a response, that is the end of the
   * connection.
   */
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
