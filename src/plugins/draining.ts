/**
 * Closes connections after their next answer while the hub is about to stop, so that clients connect to another hub.
 */
import fp from 'fastify-plugin'

export default fp(
  async (app) => {
    // A client that goes on would send its next request to a hub that is about to stop.
    app.beforeEachAnswer((request, reply) => {
      if (app.fanfareHub.draining && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    })
  },
  { name: 'fanfare-draining', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-checks'] },
)
