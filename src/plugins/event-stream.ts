/**
 * Takes a reply over as an event stream. The head goes through Node's HTTP, with every header that other plugins have
 * put on the reply. The body goes to the socket itself: over HTTP/1.1 in chunks (RFC 9112, 7.1), whose frames are part
 * of the bytes that all subscribers share; over HTTP/1.0 up to the end of the connection (RFC 9112, 6.3).
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
import { Http2Sessions } from '../server/http2-sessions.js'
import { markEventStream } from '../server/idle-connections.js'
import type { NativePaths } from '../server/native.js'
import { SinkWatch } from '../server/sink-watch.js'
import { END_GRACE, openSink, type StreamBody } from '../server/stream-sink.js'
import { VanishedPeers, type Reachable } from '../server/vanished-peers.js'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Sends the head of an event stream at once, and returns where its blocks go, or `undefined` when the peer has
     * gone. The reply is not to be used after that.
     */
    fanfareStream: (headers: Record<string, string>) => Sink | undefined
    /** Sends the head of an event stream and at most one block, and ends it. */
    endedFanfareStream: (headers: Record<string, string>, block?: Chunk) => void
  }
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8', // always UTF-8, but some clients would guess another
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no', // nginx would keep the events back
}

/** The kernel is asked for peers that have vanished once a heartbeat, within these limits, in milliseconds. */
const LOOK_INTERVAL = { min: 1_000, max: 60_000 }

export default fp<Pick<Settings, 'slowTimeout' | 'heartbeat'> & { native: NativePaths }>(
  async (app, { slowTimeout, heartbeat, native }) => {
    const watch = new SinkWatch(Math.min(slowTimeout, END_GRACE))
    const sessions = new Http2Sessions()
    const open = new Set<Reachable>()
    app.addHook('preClose', async () => sessions.close())
    if (process.platform === 'linux') lookForVanished(app, open, heartbeat)

    app.decorateReply('fanfareStream', function (this: FastifyReply, headers: Record<string, string>) {
      this.hijack()
      const { raw } = this
      if (hasGone(this)) {
        if (!(raw instanceof Http2ServerResponse)) emitClose(raw)
        return undefined
      }
      if (raw instanceof Http2ServerResponse && raw.stream.session) sessions.add(raw.stream.session, raw.stream)
      const body = sendHead(this, headers, native)
      return openSink(body, {
        isChunked: takesChunks(this) && body instanceof Socket,
        isDirect: native.directWriter,
        slowTimeout,
        watch,
        open,
      })
    })
    app.decorateReply('endedFanfareStream', sendEnded)
  },
  { name: 'fanfare-event-stream', fastify: '5.x' },
)

/** Ends the streams whose peers have vanished, until the application closes. */
function lookForVanished(app: FastifyInstance, open: Set<Reachable>, heartbeat: number): void {
  const vanished = new VanishedPeers({
    sinks: open,
    interval: Math.min(Math.max(heartbeat, LOOK_INTERVAL.min), LOOK_INTERVAL.max),
    onUnreadable: (err) =>
      app.log.info({ err }, 'peers that vanish are noticed by the kernel alone (net.ipv4.tcp_retries2)'),
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

/** Whether nobody is there to be sent anything. A stream that is opened then would never be told that it has ended. */
function hasGone({ raw }: FastifyReply): boolean {
  if (raw instanceof Http2ServerResponse) return raw.stream.destroyed || raw.stream.closed
  // behind a stream, a response never gets the socket of its connection
  return raw.destroyed || !raw.socket || raw.socket.destroyed || !raw.socket.writable
}

/** Whether the body is sent in chunks: to a socket, over HTTP/1.1. Requests may be injected, and have none. */
function takesChunks({ raw, request }: FastifyReply): boolean {
  return !(raw instanceof Http2ServerResponse) && request.raw.httpVersion === '1.1' && request.socket instanceof Socket
}

/** The connection ends with the body. */
function delimitBody(reply: FastifyReply, raw: ServerResponse): void {
  raw.shouldKeepAlive = false
  if (!takesChunks(reply)) raw.removeHeader('transfer-encoding')
}

function headOf(reply: FastifyReply, headers: Record<string, string>): Record<string, string> {
  const framing = takesChunks(reply) ? { 'transfer-encoding': 'chunked' } : {}
  return { ...reply.getHeaders(), ...HEADERS, ...framing, ...headers } as Record<string, string>
}

/**
 * Writes the head; returns where the body goes. Head and first block leave in one write. A response that keeps its
 * socket writes the frames of the body's chunks itself.
 */
function sendHead(reply: FastifyReply, headers: Record<string, string>, native: NativePaths): StreamBody {
  const { raw } = reply
  const head = headOf(reply, headers)
  if (raw instanceof Http2ServerResponse) {
    raw.writeHead(200, head)
    raw.flushHeaders()
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
    socket.setTimeout(0) // an idle time-out of the application is about requests
    if (native.detach) detach(reply.request.raw, raw, socket)
    else dropRest(reply.request.raw, socket)
  }
  return body
}
