/**
 * Keeps caches off every answer of the hub: what it says depends on the token, which a shared cache does not see in a
 * cookie (RFC 9111, 5.2.2.5). A route that answers something else, such as a file, sets a header of its own.
 */
import fp from 'fastify-plugin'
import { NO_STORE } from '../server/no-store.js'

export default fp(
  async (app) => {
    app.prepareEach((_request, reply) => void reply.header('cache-control', NO_STORE['cache-control']))
  },
  { name: 'fanfare-no-store', fastify: '5.x', dependencies: ['fanfare-preparation'] },
)
