/** The web console: static files that `npm run build` makes of src/console/, and nothing that could run beside them. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import files from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** From src/plugins/ and from dist/plugins/ alike. */
const ROOT = fileURLToPath(new URL('../../dist/console/', import.meta.url))

/** Only what comes with the console itself; its scripts talk to this hub and to nobody else. */
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
  crossOriginOpenerPolicy: false, // browsers ignore it without TLS, and complain
  originAgentCluster: false, // the same
  strictTransportSecurity: false, // whether there is TLS is for the proxy in front to say
}

/** The names of these files change with what is in them, so they may be kept for good. */
const HASHED = /\/assets\/[^/]+$/

/** Not wrapped by fastify-plugin: the headers are for these routes, and for no others. */
export default async function webConsole(app: FastifyInstance): Promise<void> {
  if (!existsSync(ROOT)) {
    app.log.warn('the console has not been built: npm run build')
    return
  }
  const root = app.prefix.replace(/\/$/, '')
  await app.register(helmet, { global: false })
  // on each route, behind all hooks of the application, which may use the plugin with headers of its own
  app.addHook('onRoute', (route) => {
    route.onRequest = [
      route.onRequest ?? [],
      async (_request: FastifyRequest, reply: FastifyReply) => reply.helmet(HEADERS),
    ].flat()
  })
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, anyQuery: true } // the page's own scripts may read it
  })
  // The URLs of the page are relative to its folder. The path is the one that the browser knows, before `rewriteUrl`.
  app.addHook('onRequest', async (request, reply) => {
    reply.removeHeader('cache-control') // the hub's answers are kept by nobody, but these are files
    const isPage = request.routeOptions.url?.replace(/\/$/, '') === root
    const [path = ''] = request.originalUrl.split('?', 1)
    if (isPage && !path.endsWith('/')) return reply.redirect(`.${path.slice(path.lastIndexOf('/'))}/`)
  })
  await app.register(files, {
    root: ROOT,
    wildcard: false, // what is not there is the hub's to answer
    decorateReply: false, // the application that embeds the hub may serve files itself
    cacheControl: false,
    setHeaders: (response, path) =>
      void response.setHeader('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache'),
  })
}
