/**
 * Serves the OpenAPI document, and a page that shows it. Both are built for the first request: building takes tens of
 * milliseconds, and most hubs are never asked.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { version } from '../model/version.js'
import type { Settings } from '../settings.js'
import { kTypedTopics } from './hub.js'
import { routerOptionsOf } from './mount.js'
import { addPageHeaders } from './page-headers.js'
import { kRoutes } from './route-list.js'

/** Registers the routes. Without fastify-plugin, the hooks apply to these routes only. */
export default async function reference(
  app: FastifyInstance,
  { anonymousSubscribe }: Pick<Settings, 'anonymousSubscribe'>,
): Promise<void> {
  await addPageHeaders(app)
  let built: ReturnType<typeof build> | undefined
  const get = () => (built ??= build(app, anonymousSubscribe.length > 0))

  app.get('/openapi.json', async (request, reply) => {
    // with the router's option ignoreTrailingSlash; the URLs in both answers are relative to the folder of the hub
    if (isFolder(request)) return reply.redirect('../openapi.json')
    return answer(request, reply, 'application/json; charset=utf-8', (await get()).json)
  })
  app.get('/docs', async (request, reply) => {
    if (isFolder(request)) return reply.redirect('../docs')
    return answer(request, reply, 'text/html; charset=utf-8', (await get()).page)
  })
  app.get('/docs/reference.css', async (request, reply) =>
    answer(request, reply, 'text/css; charset=utf-8', (await get()).style),
  )
  if (routerOptionsOf(app).ignoreTrailingSlash !== true)
    app.get('/docs/', (_request, reply) => reply.redirect('../docs'))
}

/** `originalUrl` is the URL that the browser knows, before `rewriteUrl`. */
function isFolder({ originalUrl }: FastifyRequest): boolean {
  return originalUrl.split('?', 1)[0]!.endsWith('/')
}

/** Returns what the routes answer. */
async function build(app: FastifyInstance, hasAnonymousTopics: boolean) {
  const { buildReference } = await import('../openapi/reference.js')
  const { document, page, style } = await buildReference({
    routes: app[kRoutes],
    version,
    topics: app[kTypedTopics]?.schemas ?? [],
    hasAnonymousTopics,
  })
  return { json: JSON.stringify(document), page, style }
}

/** Answers with a text, or with 304 if the client has it (RFC 9110, 13.1.2). */
function answer(request: FastifyRequest, reply: FastifyReply, type: string, text: string): FastifyReply {
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`
  reply.headers({ etag, 'cache-control': 'no-cache' })
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  if (known.includes(etag) || known.includes('*')) return reply.code(304).send()
  return reply.type(type).send(text)
}
