/** The security headers of the hub's own pages. */
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Allows the page's own files, and requests to this hub. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
}

const HEADERS: FastifyHelmetOptions = {
  contentSecurityPolicy: CONTENT_SECURITY_POLICY,
  crossOriginOpenerPolicy: false, // without TLS, browsers ignore the header with a warning
  originAgentCluster: false, // as above
  strictTransportSecurity: false, // a decision of the proxy that terminates TLS
}

/**
 * Makes the routes of a scope those of a page: with security headers, with any query, which is for the scripts of the
 * page, and without the header that forbids caching.
 */
export async function addPageHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, { global: false })
  // on each route, after the hooks of the application, which may use @fastify/helmet with other headers
  app.addHook('onRoute', (route) => {
    route.onRequest = [
      route.onRequest ?? [],
      async (_request: FastifyRequest, reply: FastifyReply) => reply.helmet(HEADERS),
    ].flat()
    route.config = { ...route.config, anyQuery: true }
  })
  app.addHook('onRequest', async (_request, reply) => {
    reply.removeHeader('cache-control') // unlike the answers of the API, these may be cached
  })
}
