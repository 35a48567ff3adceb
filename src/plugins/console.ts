/** Serves the web console: the static files that `npm run build` makes from src/console/. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { addPageHeaders } from './page-headers.js'

/** The same folder, seen from src/plugins/ and from dist/plugins/. */
const ROOT = fileURLToPath(new URL('../../dist/console/', import.meta.url))

/** Files with a hash of their content in the name. Caches may keep them for good. */
const HASHED = /\/assets\/[^/]+$/

/** Registers the console's routes. Without fastify-plugin, the hooks apply to these routes only. */
export default async function webConsole(app: FastifyInstance): Promise<void> {
  if (!existsSync(ROOT)) {
    app.log.warn('the console is not built: run npm run build')
    return
  }
  const root = app.prefix.replace(/\/$/, '')
  await addPageHeaders(app)
  // The URLs in the page are relative to its folder, so its own URL must end with a slash. `originalUrl` is the URL
  // that the browser knows, before `rewriteUrl`.
  app.addHook('onRequest', async (request, reply) => {
    const isPage = request.routeOptions.url?.replace(/\/$/, '') === root
    const [path = ''] = request.originalUrl.split('?', 1)
    if (isPage && !path.endsWith('/')) return reply.redirect(`.${path.slice(path.lastIndexOf('/'))}/`)
  })
  await app.register(files, {
    root: ROOT,
    wildcard: false, // the hub answers requests for missing files
    decorateReply: false, // an application that embeds the hub may have the decorator already
    cacheControl: false,
    acceptRanges: false, // the files are small, and a part of a page is of no use
    setHeaders: (response, path) =>
      void response.setHeader('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache'),
  })
}
