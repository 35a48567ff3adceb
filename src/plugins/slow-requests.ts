/**
 * What becomes of a body that is still on its way when its request is answered, as that of a refused request is. The
 * answer says that the connection closes, and the rest is read and dropped for a while: a connection that is closed
 * while something is unread is reset, and the client may lose the answer (RFC 9112, 9.6).
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/**
 * How much of the rest is read, in bytes: as much as the largest batch, for clients that read no answer before they
 * have sent everything.
 */
const DROPPED_AT_MOST = 16 * 1024 * 1024
/** How long the rest is read at most, in milliseconds. */
const DROP_TIME = 10_000
/** How long a client that has sent more has to read its answer, in milliseconds. */
const LINGER = 1_000

export default fp<{ bodyTimeout: number }>(
  async (app, { bodyTimeout }) => {
    app.addHook('onSend', (request, reply, payload, done) => {
      if (!isBodyUnderWay(request)) return done(null, payload)
      // The rest may have come with the head and be parsed by now: a refusal in the first turn is sent in the next one.
      setImmediate(() => {
        if (isBodyUnderWay(request)) closeAfter(request, reply, bodyTimeout)
        done(null, payload)
      })
    })

    // On HTTP/2 the rest holds up nothing but its own stream, which is ended after a while.
    app.afterEachAnswer(({ raw }) => {
      if (raw.httpVersionMajor === 1 || !hasBody(raw) || raw.complete || raw.destroyed) return
      const timer = setTimeout(() => raw.destroy(), Math.min(bodyTimeout, DROP_TIME)).unref()
      raw.once('close', () => clearTimeout(timer))
    })
  },
  { name: 'fanfare-slow-requests', fastify: '5.x', dependencies: ['fanfare-checks'] },
)

/** Whether a request on HTTP/1 has a body of which something is still to come. */
export function isBodyUnderWay({ raw }: FastifyRequest): boolean {
  const complete = raw.complete as boolean | undefined // a request that was injected has none
  return complete === false && raw.httpVersionMajor === 1 && hasBody(raw)
}

/** Whether a request says that it has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** Closes the connection once the answer is sent, in a way that lets the client read it. */
export function closeAfter(request: FastifyRequest, reply: FastifyReply, bodyTimeout: number): void {
  const { socket } = request.raw
  reply.header('connection', 'close')
  // Node calls this when a last response is sent (lib/_http_server.js); its own way resets the connection.
  socket.destroySoon = () => linger(socket, Math.min(bodyTimeout, DROP_TIME))
}

/**
 * Ends this side of a connection, drops what the other side still sends, and closes it when that has ended or takes too
 * long.
 */
function linger(socket: Socket, time: number): void {
  const timer = setTimeout(() => socket.destroy(), time).unref()
  socket.once('close', () => clearTimeout(timer))
  socket.end()
  if (!socket.isPaused()) return drop(socket)
  socket.once('resume', () => drop(socket)) // Node's own listener comes first, and begins to read
  socket.resume()
}

/** Takes the socket from Node's parser, so that what follows is no request any more, and drops what comes. */
function drop(socket: Socket): void {
  let left = DROPPED_AT_MOST
  for (const listener of socket.listeners('data')) socket.removeListener('data', listener as () => void)
  // Node's parser gives up a socket of which somebody else wants the data (lib/_http_server.js, `socketOnWrap`).
  socket.on('data', (bytes: Buffer) => {
    left -= bytes.length
    if (left > 0 || socket.isPaused()) return
    socket.pause()
    setTimeout(() => socket.destroy(), LINGER).unref()
  })
}
