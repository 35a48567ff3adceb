/** A subscriber's sink that is a socket, or something like one. */
import { ServerResponse } from 'node:http'
import type { Http2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Lender, Sink, SinkReader } from '../hub/subscriber.js'
import { writerTo, type DirectWriter } from './direct-writer.js'

/** Where a stream's blocks go: a socket, an HTTP/2 stream or, where a request was injected, the response itself. */
export type StreamBody = Socket | Http2Stream | ServerResponse

/** How long a peer may take, without progress, to receive the end of its stream, in milliseconds. */
const END_GRACE = 2_000

/** @param slowTimeout how long a sink may be full without progress, in milliseconds */
export function openSink(body: StreamBody, slowTimeout: number): Sink {
  const isPlain = body instanceof Socket && !(body instanceof TLSSocket)
  const writer = isPlain ? writerTo(body) : undefined
  return new StreamSink(body, slowTimeout, writer)
}

class StreamSink implements Sink {
  reader: SinkReader | undefined
  /** Used while nothing is left in the stream's own buffer. */
  readonly #writer: DirectWriter | undefined
  #isDirect = false
  #full = false
  /** How many bytes were still waiting when it was last looked whether there is progress. */
  #waiting = 0
  readonly #body: StreamBody
  readonly #slowTimeout: number

  constructor(body: StreamBody, slowTimeout: number, writer: DirectWriter | undefined) {
    this.#body = body
    this.#slowTimeout = slowTimeout
    this.#writer = writer
    if (writer) writer.onDrain = () => this.#drained()
    body.on('drain', () => this.#drained())
    body.once('close', () => this.reader?.closed())
    body.on('timeout', () => this.#timedOut())
    body.on('error', () => undefined) // a reset by the peer; 'close' follows
  }

  write(bytes: Buffer, lender?: Lender): boolean {
    if (this.#isDirect ? this.#writer!.write(bytes, lender) : this.#writeToStream(bytes)) return true
    if (!this.#full) {
      this.#full = true
      this.#waiting = this.#unsent()
      this.#setTimeout(this.#slowTimeout)
    }
    return false
  }

  end(bytes: Buffer): void {
    this.#full = false
    this.#setTimeout(END_GRACE)
    this.#body.end(bytes)
  }

  /** The stream says that it is full also when the kernel has taken everything at once; then nothing is left in it. */
  #writeToStream(bytes: Buffer): boolean {
    const hasRoom = this.#body.write(bytes)
    const isEmpty = this.#body.writableLength === 0
    this.#isDirect = isEmpty && this.#writer !== undefined
    return hasRoom || isEmpty
  }

  /** @param time in milliseconds; 0: none */
  #setTimeout(time: number): void {
    if (!(this.#body instanceof ServerResponse)) this.#body.setTimeout(time)
  }

  #drained(): void {
    if (!this.#full) return
    this.#full = false
    this.#setTimeout(0)
    this.reader?.drained()
  }

  /** How many bytes a direct write has left waiting; Node looks after its own. */
  #unsent(): number {
    return this.#isDirect ? this.#writer!.waiting : 0
  }

  /** What the kernel takes of what waits is progress, so a slow reader is no stalled one. */
  #timedOut(): void {
    if (!this.#full) {
      this.#body.destroy()
      return
    }
    const waiting = this.#unsent()
    if (waiting >= this.#waiting) {
      this.reader?.stalled()
      return
    }
    this.#waiting = waiting
    this.#setTimeout(this.#slowTimeout)
  }
}
