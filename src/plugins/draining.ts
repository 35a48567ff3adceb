/** Closes connections after their next answer while the hub drains, so that clients connect to another hub. */
import fp from 'fastify-plugin'

export default fp(
  async (app) => {
    app.beforeEachAnswer((request, reply) => {
      if (app.fanfareHub.draining && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    })
  },
  { name: 'fanfare-draining', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-checks'] },
)
