/** Closes connections after their next answer while the hub drains, so that clients connect to another hub. */
import { Http2ServerResponse } from 'node:http2'
import fp from 'fastify-plugin'
import { endSession } from '../server/http2-sessions.js'

export default fp(
  async (app) => {
    app.beforeEachAnswer((_request, reply) => {
      if (!app.fanfareHub.draining) return
      if (reply.raw instanceof Http2ServerResponse) endSession(reply.raw.stream.session)
      else reply.header('connection', 'close')
    })
  },
  { name: 'fanfare-draining', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-checks'] },
)
