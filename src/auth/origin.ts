/**
 * Which pages a request may come from. A browser sends a cookie whichever page asks. So a request that changes
 * something by cookie has to name an origin that is allowed to (cross-site request forgery).
 */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import type { OriginList } from './origin-list.js'

/** Whether a request's page is one of the hub's own, or of an origin that is listed; `*` lists none. */
export function isAllowedOrigin(request: FastifyRequest, allowed: OriginList): boolean {
  const { origin } = request.headers
  return origin !== undefined && (allowed.names(origin) || origin === ownOrigin(request))
}

/** @throws Problem `foreign-origin` */
export function requireAllowedOrigin(request: FastifyRequest, allowed: OriginList): void {
  if (!isAllowedOrigin(request, allowed)) throw foreignOrigin(request, 'there is no header "Origin"')
}

/**
 * The same for a `GET` that changes something. A browser names no origin in a `GET` to the page's own. It sends
 * `Sec-Fetch-Site: same-origin` instead (Fetch Metadata, 2.3), which no page can forge.
 * @throws Problem `foreign-origin`
 */
export function requireAllowedReader(request: FastifyRequest, allowed: OriginList): void {
  if (request.headers['sec-fetch-site'] === 'same-origin' || isAllowedOrigin(request, allowed)) return
  throw foreignOrigin(
    request,
    'there is neither a header "Origin" nor "Sec-Fetch-Site: same-origin", which browsers ' +
      'send over TLS and to localhost',
  )
}

/**
 * Checks a request that changes something by the application's login, which may be a cookie or whatever else a browser
 * adds by itself.
 * @throws Problem `foreign-origin`
 */
export function requireAllowedLogin(request: FastifyRequest, allowed: OriginList): void {
  if (isFromPage(request)) requireAllowedOrigin(request, allowed)
}

/** Whether a page may have made a request: it has a cookie, an origin, or a header that only browsers send. */
export function isFromPage({ headers }: FastifyRequest): boolean {
  return headers.cookie !== undefined || headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
}

function foreignOrigin({ headers: { origin } }: FastifyRequest, missing: string): Problem {
  const what = origin === undefined ? missing : `${quote(origin)} is not among them`
  return new Problem(
    'foreign-origin',
    "A request that changes something with a cookie has to come from a page of the hub's own origin " +
      `or of those in FANFARE_CORS_ORIGINS ("*" does not count): ${what}. With the token in the header "Authorization" it may ` +
      'come from anywhere.',
  )
}

function ownOrigin(request: FastifyRequest): string | undefined {
  const url = `${request.protocol}://${request.host}`
  return URL.canParse(url) ? new URL(url).origin : undefined // without a default port, as browsers write it
}
