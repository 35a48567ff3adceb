/**
 * Takes a reply over as an event stream. The head goes through Node's HTTP, with every header that other plugins have
 * put on the reply; the body is delimited by the end of the connection (RFC 9112, 6.3), so that the same bytes go to
 * every subscriber's socket without any framing of their own.
 */
import { ServerResponse } from 'node:http'
import { Http2ServerResponse, type Http2Session, type Http2Stream } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import type { Sink, SinkReader } from '../hub/subscriber.js'
import type { Settings } from '../settings.js'
import { detach } from './detach.js'

declare module 'fastify' {
  interface FastifyReply {
    /** Sends the head of an event stream at once, and returns where its blocks go. The reply is not to be used after that. */
    fanfareStream: (headers: Record<string, string>) => Sink
    /** Sends the head of an event stream and one block, and ends it. */
    endedFanfareStream: (block: Buffer) => void
  }
}

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no', // nginx would keep the events back
}

/** How long a peer may take, without progress, to receive the end of its stream, in milliseconds. */
const END_GRACE = 2_000

export default fp<Pick<Settings, 'slowTimeout'>>(async (app, { slowTimeout }) => {
  const sessions = new Set<Http2Session>()
  // An HTTP/2 session outlives its streams, and an idle one would keep the server from closing until its time-out.
  app.addHook('preClose', async () => {
    for (const session of sessions) session.close()
  })

  app.decorateReply('fanfareStream', function (this: FastifyReply, headers: Record<string, string>) {
    this.hijack()
    const session = this.raw instanceof Http2ServerResponse ? this.raw.stream.session : undefined
    if (session && !sessions.has(session)) {
      sessions.add(session)
      session.once('close', () => sessions.delete(session))
    }
    return new StreamSink(sendHead(this, headers), slowTimeout)
  })
  app.decorateReply('endedFanfareStream', function (this: FastifyReply, block: Buffer) {
    this.fanfareStream({}).end(block)
  })
}, { name: 'fanfare-event-stream', fastify: '5.x' })

/** Where a stream's blocks go: a socket, an HTTP/2 stream or, where a request was injected, the response itself. */
type StreamBody = Socket | Http2Stream | ServerResponse

/** Writes the head; returns where the body goes. Head and first block leave in one write. */
function sendHead(reply: FastifyReply, headers: Record<string, string>): StreamBody {
  const raw = reply.raw
  const head = { ...reply.getHeaders(), ...HEADERS, ...headers } as Record<string, string>
  if (raw instanceof Http2ServerResponse) {
    raw.writeHead(200, head)
    raw.flushHeaders()
    return raw.stream
  }
  raw.removeHeader('transfer-encoding') // not chunked: the body ends with the connection
  raw.shouldKeepAlive = false
  const { socket } = raw
  const body = socket instanceof Socket ? socket : raw
  body.cork()
  process.nextTick(() => body.uncork())
  raw.writeHead(200, head)
  raw.flushHeaders()
  if (socket instanceof Socket) detach(reply.request.raw, raw, socket)
  return body
}

/** A sink that is a socket, or something like one. */
class StreamSink implements Sink {
  reader: SinkReader | undefined
  readonly #body: StreamBody
  readonly #slowTimeout: number
  #full = false

  constructor(body: StreamBody, slowTimeout: number) {
    this.#body = body
    this.#slowTimeout = slowTimeout
    body.on('drain', () => this.#drained())
    body.once('close', () => this.reader?.closed())
    body.on('timeout', () => this.#timedOut())
    body.on('error', () => undefined) // a reset by the peer; 'close' follows
  }

  write(bytes: Buffer): boolean {
    if (this.#body.write(bytes) || this.#body.writableLength === 0) return true
    // The stream says that it is full also when the kernel has taken everything at once; then nothing is left in it.
    if (!this.#full) {
      this.#full = true
      this.#setTimeout(this.#slowTimeout)
    }
    return false
  }

  end(bytes: Buffer): void {
    this.#full = false
    this.#setTimeout(END_GRACE)
    this.#body.end(bytes)
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

  /** Node counts as progress what the kernel takes of what is written, so a slow reader is no stalled one. */
  #timedOut(): void {
    if (this.#full) this.reader?.stalled()
    else this.#body.destroy()
  }
}
