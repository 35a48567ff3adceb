/** Sessions: a browser's token in a cookie. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { requireAllowedOrigin } from '../auth/origin.js'
import { OriginList } from '../auth/origin-list.js'
import { clearSession, readSession, writeSession, type CookieScope } from '../auth/session-cookie.js'
import { Problem } from '../errors.js'
import type { Settings } from '../settings.js'
import { requirePrincipal } from '../plugins/auth.js'

const sessions: FastifyPluginAsyncTypebox<Pick<Settings, 'corsOrigins'>> = async (app, { corsOrigins }) => {
  const listed = new OriginList(corsOrigins)
  /** Pages of other sites are given no credentials where every origin is allowed. */
  const hasForeignPages = listed.size > 0 && !listed.all

  function scopeOf(request: FastifyRequest): CookieScope {
    const secure = request.protocol === 'https'
    return { path: app.mountPath(request) || '/', secure, crossSite: secure && hasForeignPages }
  }

  app.post('/sessions', { onRequest: app.authenticate }, async (request, reply) => {
    const { source, token } = request.fanfareToken!
    if (source !== 'header')
      throw new Problem(
        'missing-token',
        'A session is begun with a token in the header "Authorization: Bearer …", and with no other.',
      )
    reply.header('set-cookie', writeSession(token, requirePrincipal(request).acceptedUntil, scopeOf(request)))
    return reply.code(204).send()
  })

  // Whatever its token has become, a session can be ended.
  app.delete('/sessions', async (request, reply) => {
    if (readSession(request.headers.cookie) !== undefined) {
      requireAllowedOrigin(request, listed)
      reply.header('set-cookie', clearSession(scopeOf(request)))
    }
    return reply.code(204).send()
  })
}

export default sessions
