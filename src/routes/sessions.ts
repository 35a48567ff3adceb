/** The routes for sessions: a session stores a browser's token in a cookie. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { requireAllowedOrigin } from '../auth/origin.js'
import { OriginList } from '../model/origin-list.js'
import { clearSession, readSession, writeSession, type CookieScope } from '../auth/session-cookie.js'
import { Problem } from '../errors.js'
import type { Settings } from '../settings.js'
import { kAuthenticate, requirePrincipal, requireTokenSearch } from '../plugins/auth.js'
import { kPublicPath } from '../plugins/mount.js'

const sessions: FastifyPluginAsyncTypebox<Pick<Settings, 'corsOrigins'>> = async (app, { corsOrigins }) => {
  const listed = new OriginList(corsOrigins)
  /** With `*`, pages of other sites cannot use credentials. */
  const hasForeignPages = listed.size > 0 && !listed.all

  function scopeOf(request: FastifyRequest): CookieScope {
    const secure = request.protocol === 'https'
    return { path: app[kPublicPath](request) || '/', secure, crossSite: secure && hasForeignPages }
  }

  app.post('/sessions', { onRequest: app[kAuthenticate] }, async (request, reply) => {
    const { source, token } = requireTokenSearch(request)
    if (source !== 'header')
      throw new Problem('missing-token', 'To start a session, send the token in the header "Authorization: Bearer …".')
    reply.header('set-cookie', writeSession(token, requirePrincipal(request).acceptedUntil, scopeOf(request)))
    return reply.code(204).send()
  })

  // Without authentication: a session with an expired or revoked token can be ended too.
  app.delete('/sessions', async (request, reply) => {
    if (readSession(request.headers.cookie) !== undefined) {
      requireAllowedOrigin(request, listed)
      reply.header('set-cookie', clearSession(scopeOf(request)))
    }
    return reply.code(204).send()
  })
}

export default sessions
