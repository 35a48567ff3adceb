/**
 * Turns a reply into an event stream. The head goes through Node's HTTP, with the headers that other plugins have set.
 * The body goes to the socket itself. Over HTTP/1.1 the body is chunked (RFC 9112, 7.1), and all subscribers share the
 * bytes of a chunk with its frame. Over HTTP/1.0 the end of the connection ends the body (RFC 9112, 6.3).
 */
import type { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import type { Sink } from '../wire/sink.js'
import type { Settings } from '../settings.js'
import type { Chunk } from '../wire/chunk.js'
import { detach, dropRest, emitClose } from '../server/detach.js'
import { giveAnswerTurn } from '../server/http2-turns.js'
import { markEventStream } from '../server/idle-connections.js'
import type { NativePaths } from '../server/native.js'
import { SinkWatch } from '../server/sink-watch.js'
import { END_GRACE, openSink, type StreamBody } from '../server/stream-sink.js'
import { VanishedPeers, type Reachable } from '../server/vanished-peers.js'
import { kHttp2Sessions } from './hub.js'

export const kOpenStream = Symbol('fanfare.openStream')
export const kSendEndedStream = Symbol('fanfare.sendEndedStream')

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Sends the head of an event stream at once, and returns the sink for its blocks; `undefined` if the peer has gone.
     * Do not use the reply afterwards.
     */
    [kOpenStream]: (headers: Record<string, string>) => Sink | undefined
    /** Sends the head of an event stream and at most one block, and ends the stream. */
    [kSendEndedStream]: (headers: Record<string, string>, block?: Chunk) => void
  }
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8', // always UTF-8, but some clients guess
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no', // otherwise nginx buffers events
}

/** Limits of the interval between two searches for vanished peers, in milliseconds. The interval is the heartbeat. */
const SEARCH_INTERVAL = { min: 1_000, max: 60_000 }

export default fp<Pick<Settings, 'slowTimeout' | 'heartbeat'> & { native: NativePaths }>(
  async (app, { slowTimeout, heartbeat, native }) => {
    const watch = new SinkWatch(Math.min(slowTimeout, END_GRACE))
    const open = new Set<Reachable>()
    if (process.platform === 'linux') searchVanished(app, open, heartbeat)

    app.decorateReply(kOpenStream, function (this: FastifyReply, headers: Record<string, string>) {
      this.hijack()
      const { raw } = this
      if (hasGone(this)) {
        if (!(raw instanceof Http2ServerResponse)) emitClose(raw)
        return undefined
      }
      if (raw instanceof Http2ServerResponse) {
        app[kHttp2Sessions]?.addEventStream(raw.stream)
        giveAnswerTurn(raw.stream)
      }
      const body = sendHead(this, headers, native)
      return openSink(body, {
        isChunked: takesChunks(this) && body instanceof Socket,
        isDirect: native.directWriter,
        slowTimeout,
        watch,
        open,
      })
    })
    app.decorateReply(kSendEndedStream, sendEnded)
  },
  { name: 'fanfare-event-stream', fastify: '5.x', dependencies: ['fanfare-hub'] },
)

/** Ends the streams whose peers have vanished, until the application closes. */
function searchVanished(app: FastifyInstance, open: Set<Reachable>, heartbeat: number): void {
  const vanished = new VanishedPeers({
    sinks: open,
    interval: Math.min(Math.max(heartbeat, SEARCH_INTERVAL.min), SEARCH_INTERVAL.max),
    onUnreadable: (err) =>
      app.log.info(
        { err },
        'the hub cannot read the sockets of the kernel: only the kernel notices vanished peers (net.ipv4.tcp_retries2)',
      ),
  })
  app.addHook('onClose', async () => vanished.stop())
}

function sendEnded(this: FastifyReply, headers: Record<string, string>, block?: Chunk): void {
  this.hijack()
  const { raw } = this
  if (raw instanceof Http2ServerResponse) {
    if (hasGone(this)) return
  } else delimitBody(this, raw)
  raw.writeHead(200, headOf(this, headers))
  raw.end(block?.plain)
}

/** Whether the peer has gone. A stream that is opened after that would never get an event about its end. */
function hasGone({ raw }: FastifyReply): boolean {
  if (raw instanceof Http2ServerResponse) return raw.stream.destroyed || raw.stream.closed
  // after a stream on the same connection, a response never gets the socket
  return raw.destroyed || !raw.socket || raw.socket.destroyed || !raw.socket.writable
}

/** Whether the body is chunked: over HTTP/1.1 to a socket. An injected request has no socket. */
function takesChunks({ raw, request }: FastifyReply): boolean {
  return !(raw instanceof Http2ServerResponse) && request.raw.httpVersion === '1.1' && request.socket instanceof Socket
}

/** Makes the connection end with the body. */
function delimitBody(reply: FastifyReply, raw: ServerResponse): void {
  raw.shouldKeepAlive = false
  if (!takesChunks(reply)) raw.removeHeader('transfer-encoding')
}

function headOf(reply: FastifyReply, headers: Record<string, string>): Record<string, string> {
  const framing = takesChunks(reply) ? { 'transfer-encoding': 'chunked' } : {}
  return { ...reply.getHeaders(), ...HEADERS, ...framing, ...headers } as Record<string, string>
}

/**
 * Writes the head and returns the target for the body. Head and first block leave in one write. A response that keeps
 * its socket adds the frames of chunks itself.
 */
function sendHead(reply: FastifyReply, headers: Record<string, string>, native: NativePaths): StreamBody {
  const { raw } = reply
  const head = headOf(reply, headers)
  if (raw instanceof Http2ServerResponse) {
    raw.writeHead(200, head)
    raw.flushHeaders()
    if (!raw.stream.endAfterHeaders) raw.stream.resume() // drops a body, which would wait in the process
    return raw.stream
  }
  delimitBody(reply, raw)
  if (!native.idleConnections) markEventStream(raw)
  const { socket } = raw
  const body = native.detach && socket instanceof Socket ? socket : raw
  body.cork()
  process.nextTick(() => body.uncork())
  raw.writeHead(200, head)
  raw.flushHeaders()
  if (socket instanceof Socket) {
    socket.setTimeout(0) // an idle timeout of the application is meant for requests, not for streams
    if (native.detach) detach(reply.request.raw, raw, socket)
    else dropRest(reply.request.raw, socket)
  }
  return body
}
