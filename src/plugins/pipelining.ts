/**
 * Delays pipelined requests of HTTP/1 (RFC 9112, 9.3.2). Node hands over all requests of one packet at once. A request
 * that only reads waits until the client has taken the answers before it. Otherwise a client that takes none could make
 * the hub build any number of answers. A stream needs the connection for itself.
 */
import { Http2ServerResponse } from 'node:http2'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

const READS = ['GET', 'HEAD']

export default fp(
  async (app) => {
    app.addHook('onRoute', (route) => {
      if (![route.method].flat().some((method) => READS.includes(method))) return
      const hooks = route.onRequest === undefined ? [] : [route.onRequest].flat()
      route.onRequest = [awaitTurn, ...hooks]
    })
  },
  { name: 'fanfare-pipelining', fastify: '5.x' },
)

function awaitTurn(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (READS.includes(request.method) && !hasTurn(reply)) afterTurn(reply, done)
  else done()
}

/** Whether the answers to earlier requests have been sent, or the peer has gone. */
function hasTurn({ raw, request: { raw: message } }: FastifyReply): boolean {
  return raw instanceof Http2ServerResponse || Boolean(raw.socket) || message.readableAborted
}

function afterTurn({ raw, request: { raw: message } }: FastifyReply, done: () => void): void {
  function proceed(): void {
    raw.removeListener('socket', proceed)
    message.removeListener('close', proceed)
    done()
  }
  raw.once('socket', proceed)
  message.once('close', proceed) // the connection is closed, or the stream of an earlier request has taken it
}
