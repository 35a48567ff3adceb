/**
 * Takes a reply over as an event stream. The head goes through Node's HTTP, with every header that other plugins have
 * put on the reply; the body is delimited by the end of the connection (RFC 9112, 6.3), so that the same bytes go to
 * every subscriber's socket without any framing of their own.
 */
import { Http2ServerResponse, type Http2Session } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import type { Sink } from '../hub/subscriber.js'
import type { Settings } from '../settings.js'
import { detach } from './detach.js'
import { openSink, type StreamBody } from './stream-sink.js'

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
    return openSink(sendHead(this, headers), slowTimeout)
  })
  app.decorateReply('endedFanfareStream', function (this: FastifyReply, block: Buffer) {
    this.fanfareStream({}).end(block)
  })
}, { name: 'fanfare-event-stream', fastify: '5.x' })

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
