/**
 * Handles requests whose body is still arriving when they are answered, such as refused requests. The answer announces
 * the end of the connection, and the hub reads and drops the rest of the body for a while. Closing a connection with
 * unread data resets it, and the client may lose the answer (RFC 9112, 9.6).
 */
import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { kBeforeEachAnswer } from './request-steps.js'

/**
 * The maximum number of bytes to read and drop. It is the size of the largest batch, since some clients read no answer
 * before they have sent the whole body.
 */
const DROPPED_AT_MOST = 16 * 1024 * 1024
/** The maximum time to read and drop, in milliseconds. */
const DROP_TIME = 10_000
/** How long a client can still read the answer after it has sent `DROPPED_AT_MOST` bytes, in milliseconds. */
const LINGER = 1_000

export default fp<{ bodyTimeout: number }>(
  async (app, { bodyTimeout }) => {
    app.addHook('onSend', (request, reply, payload, done) => {
      if (!isBodyUnderWay(request)) return done(null, payload)
      // The rest may have arrived with the head: let Node parse it first, in this turn of the event loop.
      setImmediate(() => {
        if (isBodyUnderWay(request)) closeAfter(request, reply, bodyTimeout)
        done(null, payload)
      })
    })

    app[kBeforeEachAnswer](({ raw }, reply) => {
      if (reply.raw instanceof Http2ServerResponse && hasBody(raw) && !raw.complete)
        closeStreamAfter(reply.raw.stream, bodyTimeout)
    })
  },
  { name: 'fanfare-slow-requests', fastify: '5.x', dependencies: ['fanfare-checks'] },
)

/** Whether the body of an HTTP/1 request has not arrived completely. */
export function isBodyUnderWay({ raw }: FastifyRequest): boolean {
  const complete = raw.complete as boolean | undefined // undefined for an injected request
  return complete === false && raw.httpVersionMajor === 1 && hasBody(raw)
}

/** Whether a request has a body. On HTTP/2 a body needs no header (RFC 9113, 8.1). */
export function hasBody(request: IncomingMessage | Http2ServerRequest): boolean {
  const { headers } = request
  if (request instanceof Http2ServerRequest) return !request.stream.endAfterHeaders
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** Closes the connection once the answer is sent, in a way that lets the client read it. */
export function closeAfter(request: FastifyRequest, reply: FastifyReply, bodyTimeout: number): void {
  const { socket } = request.raw
  reply.header('connection', 'close')
  // Node calls this after the last response (lib/_http_server.js). Its own implementation resets the connection.
  socket.destroySoon = () => linger(socket, Math.min(bodyTimeout, DROP_TIME))
}

/**
 * Ends a stream of HTTP/2 some time after its answer. The rest of the body blocks no other stream. Without an error
 * code the client keeps the answer (RFC 9113, 8.1).
 */
function closeStreamAfter(stream: ServerHttp2Stream, bodyTimeout: number): void {
  stream.once('finish', () => {
    const timer = setTimeout(() => stream.destroy(), Math.min(bodyTimeout, DROP_TIME)).unref()
    stream.once('close', () => clearTimeout(timer))
  })
}

/**
 * Ends this side of a connection and drops the bytes of the other side. Closes the connection when the other side ends
 * or after the time, in milliseconds.
 */
function linger(socket: Socket, time: number): void {
  const timer = setTimeout(() => socket.destroy(), time).unref()
  socket.once('close', () => clearTimeout(timer))
  socket.end()
  if (!socket.isPaused()) return drop(socket)
  socket.once('resume', () => drop(socket)) // Node's own listener runs first and starts reading
  socket.resume()
}

/** Detaches the socket from Node's parser, so that no further request is read, and drops the incoming bytes. */
function drop(socket: Socket): void {
  let left = DROPPED_AT_MOST
  for (const listener of socket.listeners('data')) socket.removeListener('data', listener as () => void)
  // Node's parser releases a socket when another listener for its data is added (lib/_http_server.js, `socketOnWrap`).
  socket.on('data', (bytes: Buffer) => {
    left -= bytes.length
    if (left > 0 || socket.isPaused()) return
    socket.pause()
    setTimeout(() => socket.destroy(), LINGER).unref()
  })
}
