/**
 * A subscriber that reads one answer, on a raw socket. While the answer arrives, it only looks for marks, since the
 * sockets need the time. It keeps the bytes, and decodes them when it reloads and at the end.
 */
import { connect, type Socket } from 'node:net'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { now } from './clock.js'
import type { Histogram } from './histogram.js'
import { MARK_LENGTH, readNumber, readTime, TILDE } from './mark.js'
import { requestHead } from './request.js'

/** How an answer is read: as the events of its topic, or by the Durable Streams protocol. */
export type ReadingWay = 'events' | 'streams'

export interface ReaderPlan {
  port: number
  way: ReadingWay
  /** The path of the finite topic, below `/streams`. */
  path: string
  token: string
  /** Given the latency of each token, in microseconds. */
  latency: Histogram
  /** Called for the first mark. */
  onToken: () => void
  /** Called once the stream has its first block. */
  onBegin: () => void
  /** Called when the answer has ended, or the stream was closed before that. */
  onEnd: () => void
}

const READ_BYTES = 256 * 1024
/** The first size of the buffer that keeps a stream. A whole answer fits, so no reader makes garbage while it reads. */
const KEPT_BYTES = 64 * 1024
/** The buffer that every reader of this process reads into. */
const readBuffer = Buffer.alloc(READ_BYTES)
/** The types of the events that carry text. The others describe the stream. */
const TEXT_TYPES = [undefined, 'data']

export class AnswerReader {
  /** The text up to the last id. */
  text = ''
  /** Whether the end of the answer has arrived. */
  hasEnded = false
  readonly #plan: ReaderPlan
  #socket: Socket | undefined
  /** The bytes of the stream, of which there are `#length`, and of which `#searched` have been searched for marks. */
  #bytes = Buffer.alloc(KEPT_BYTES)
  #length = 0
  #searched = 0
  #hasBegun = false
  /** The number of the next token. */
  #next = 0
  #lastId: string | undefined
  /** When the reader came back, in microseconds. Earlier tokens count as late from then on. */
  #returnedAt = 0

  constructor(plan: ReaderPlan) {
    this.#plan = plan
  }

  open(): void {
    const { port, onEnd } = this.#plan
    const callback = (length: number) => {
      this.#read(readBuffer.subarray(0, length))
      return true
    }
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: readBuffer, callback } })
    this.#socket.on('error', () => undefined) // 'close' follows
    this.#socket.once('close', () => {
      this.#decode()
      onEnd()
    })
    this.#socket.write(this.#request())
  }

  /** Disconnects, and comes back after `absence` milliseconds with the last id. */
  reload(absence: number): void {
    if (!this.#socket || this.#socket.destroyed) return // the answer is over
    this.#socket.removeAllListeners('close').destroy()
    this.#socket = undefined
    this.#decode()
    if (this.hasEnded) return this.#plan.onEnd() // the hub would answer 204, and keep the connection
    setTimeout(() => {
      this.#returnedAt = now()
      this.open()
    }, absence)
  }

  close(): void {
    this.#socket?.removeAllListeners('close').destroy()
  }

  #request(): string {
    const { way, path, token } = this.#plan
    const accept = 'accept: text/event-stream'
    if (way === 'streams')
      return requestHead(`GET /streams/${path}?live=sse&offset=${this.#lastId ?? '-1'} HTTP/1.1`, token, [accept])
    const resume = this.#lastId === undefined ? [] : [`last-event-id: ${this.#lastId}`]
    const topic = path.replaceAll('/', '.')
    return requestHead(`GET /topics/${topic}/events?from=start HTTP/1.1`, token, [accept, ...resume])
  }

  #read(bytes: Buffer): void {
    const at = now()
    const received = this.#keep(bytes)
    if (!this.#hasBegun) {
      this.#hasBegun = received.includes('\n\n')
      if (this.#hasBegun) this.#plan.onBegin()
    }
    for (
      let mark = received.indexOf(TILDE, this.#searched);
      mark !== -1;
      mark = received.indexOf(TILDE, this.#searched)
    ) {
      this.#searched = mark
      if (mark + MARK_LENGTH > received.length) return // the rest of the mark follows
      this.#take(received, mark, at)
      this.#searched += MARK_LENGTH
    }
    this.#searched = received.length
  }

  /** Returns all bytes of the stream so far. */
  #keep(bytes: Buffer): Buffer {
    const length = this.#length + bytes.length
    if (length > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * length)
    this.#bytes.set(bytes, this.#length)
    this.#length = length
    return this.#bytes.subarray(0, length)
  }

  #take(bytes: Buffer, mark: number, at: number): void {
    const number = readNumber(bytes, mark)
    if (number < this.#next) return // its id had not arrived before the reload
    if (this.#next === 0) this.#plan.onToken()
    this.#next = number + 1
    this.#plan.latency.add(at - Math.max(readTime(bytes, mark), this.#returnedAt))
  }

  /** Decodes the bytes of a stream, as far as they have an id. The rest arrives again. */
  #decode(): void {
    const bytes = this.#bytes.subarray(0, this.#length)
    this.#length = this.#searched = 0
    const head = bytes.indexOf('\r\n\r\n')
    const status = bytes.toString('latin1', 9, 12)
    if (status === '204') this.hasEnded = true
    if (head === -1 || status !== '200') return
    let pending = ''
    const onEvent = ({ event, id, data }: EventSourceMessage): void => {
      if (TEXT_TYPES.includes(event)) pending += data
      if (isEnd(event, data)) this.hasEnded = true
      if (id === undefined) return
      this.#lastId = id
      this.text += pending
      pending = ''
    }
    createParser({ onEvent }).feed(joinChunks(bytes.subarray(head + 4)).toString())
  }
}

function isEnd(event: string | undefined, data: string): boolean {
  return event === 'fanfare.end' || (event === 'control' && data.includes('"streamClosed":true'))
}

/** Returns the bytes of a chunked body (RFC 9112, 7.1), which may have been cut off. */
function joinChunks(body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const line = body.indexOf('\r\n', at)
    if (line === -1) break
    const length = parseInt(body.toString('latin1', at, line), 16)
    parts.push(body.subarray(line + 2, line + 2 + length))
    at = line + 2 + length + 2
  }
  return Buffer.concat(parts)
}
