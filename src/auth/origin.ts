/**
 * Which pages a request may come from. A browser sends a cookie whichever page asks. So a request that changes something by
 * cookie has to name an origin that is allowed to (cross-site request forgery).
 */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { quote } from '../hub/quote.js'
import type { OriginList } from './origin-list.js'

/** Whether a request's page is one of the hub's own, or of an origin that is listed; `*` lists none. */
export function isAllowedOrigin(request: FastifyRequest, allowed: OriginList): boolean {
  const { origin } = request.headers
  return origin !== undefined && (allowed.names(origin) || origin === ownOrigin(request))
}

/** @throws Problem `foreign-origin` */
export function requireAllowedOrigin(request: FastifyRequest, allowed: OriginList): void {
  if (isAllowedOrigin(request, allowed)) return
  const { origin } = request.headers
  const what = origin === undefined ? 'there is no header "Origin"' : `${quote(origin)} is not among them`
  throw new Problem('foreign-origin', `What changes something with a cookie has to come from a page of the hub's own origin or of those in FANFARE_CORS_ORIGINS ("*" does not count): ${what}. With the token in the header "Authorization" it may come from anywhere.`)
}

function ownOrigin(request: FastifyRequest): string | undefined {
  const url = `${request.protocol}://${request.host}`
  return URL.canParse(url) ? new URL(url).origin : undefined // without a default port, as browsers write it
}
