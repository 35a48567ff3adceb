/** Closes connections after their next answer while the hub drains, so that clients connect to another hub. */
import { Http2ServerResponse } from 'node:http2'
import fp from 'fastify-plugin'
import { endSession } from '../server/http2-sessions.js'
import { hubOf } from './hub.js'
import { kBeforeEachAnswer } from './request-steps.js'

export default fp(
  async (app) => {
    app[kBeforeEachAnswer]((_request, reply) => {
      if (!hubOf(app).draining) return
      if (reply.raw instanceof Http2ServerResponse) endSession(reply.raw.stream.session)
      else reply.header('connection', 'close')
    })
  },
  { name: 'fanfare-draining', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-checks'] },
)
