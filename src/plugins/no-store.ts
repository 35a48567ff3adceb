/**
 * Forbids caching of the hub's answers. They depend on the token, which a shared cache does not notice in a cookie (RFC
 * 9111, 5.2.2.5). The routes of files (the console, client.js) set
 * another header.
 */
import fp from 'fastify-plugin'
import { NO_STORE } from '../server/no-store.js'
import { kPrepareEach } from './request-steps.js'

export default fp(
  async (app) => {
    app[kPrepareEach]((_request, reply) => void reply.header('cache-control', NO_STORE['cache-control']))
  },
  { name: 'fanfare-no-store', fastify: '5.x', dependencies: ['fanfare-preparation'] },
)
