/** Serves `client.js`: the package fanfare-client as one file, for pages without a bundler. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** The same folder, seen from src/plugins/ and from dist/plugins/. `npm run build` makes it. */
const ROOT = fileURLToPath(new URL('../../dist/client/', import.meta.url))

/**
 * Caches may keep the file for an hour, and then ask whether it has changed. The API is the same before and after an
 * upgrade of the hub, so an older file does no harm.
 */
const CACHE_CONTROL = 'public, max-age=3600'

/** Registers the route. Without fastify-plugin, the hooks apply to this route only. */
export default async function clientScript(app: FastifyInstance): Promise<void> {
  if (!existsSync(ROOT)) {
    app.log.warn('client.js is not built: run npm run build')
    return
  }
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, anyQuery: true } // pages may add a version
  })
  // Browsers load module scripts with CORS, and the file is the same for every origin and user. The other routes
  // decide which origins may use the hub itself.
  app.addHook('onRequest', async (_request, reply) => {
    reply.removeHeader('vary')
    reply.removeHeader('access-control-allow-credentials')
    reply.removeHeader('cache-control')
    reply.headers({
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
    })
  })
  await app.register(files, {
    root: ROOT,
    wildcard: false, // the hub answers requests for missing files
    decorateReply: false, // an application that embeds the hub may have the decorator already
    cacheControl: false,
    acceptRanges: false, // the file is small, and a part of a script is of no use
    setHeaders: (response) => void response.setHeader('cache-control', CACHE_CONTROL),
  })
}
