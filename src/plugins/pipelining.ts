/**
 * Delays requests that read. Node hands over all requests of one packet at once. A pipelined request of HTTP/1 (RFC
 * 9112, 9.3.2) waits until the client has taken the answers before it; a stream needs the connection for itself. On
 * HTTP/2 a few answers are built at the same time. Otherwise a client that takes none could make the hub build any
 * number of answers.
 */
import { Http2ServerResponse } from 'node:http2'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { awaitAnswerTurn } from '../server/http2-turns.js'

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
  const { raw } = reply
  if (!READS.includes(request.method)) done()
  else if (raw instanceof Http2ServerResponse) awaitAnswerTurn(raw.stream, done)
  else if (hasTurn(reply)) done()
  else afterTurn(reply, done)
}

/** Whether the answers to earlier requests have been sent, or the peer has gone. */
function hasTurn({ raw, request: { raw: message } }: FastifyReply): boolean {
  return Boolean(raw.socket) || message.readableAborted
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
