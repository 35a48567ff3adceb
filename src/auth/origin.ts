/**
 * Protects against cross-site request forgery. A browser adds the cookie to the requests of every page. So a request
 * that changes state with a cookie must come from a page of an allowed origin.
 */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import type { OriginList } from '../model/origin-list.js'

/** Whether a request comes from a page of the hub's own origin or of a listed origin. `*` lists no origin. */
export function isAllowedOrigin(request: FastifyRequest, allowed: OriginList): boolean {
  const { origin } = request.headers
  return origin !== undefined && (allowed.names(origin) || origin === ownOrigin(request))
}

/** @throws Problem `foreign-origin` */
export function requireAllowedOrigin(request: FastifyRequest, allowed: OriginList): void {
  if (!isAllowedOrigin(request, allowed)) throw foreignOrigin(request, 'the request has no header "Origin"')
}

/**
 * Checks the origin of a `GET` that changes state. A browser sends no `Origin` with a `GET` to the page's own origin.
 * It sends `Sec-Fetch-Site: same-origin` instead (Fetch Metadata, 2.3), which no page can forge.
 * @throws Problem `foreign-origin`
 */
export function requireAllowedReader(request: FastifyRequest, allowed: OriginList): void {
  if (request.headers['sec-fetch-site'] === 'same-origin' || isAllowedOrigin(request, allowed)) return
  throw foreignOrigin(
    request,
    'the request has neither a header "Origin" nor "Sec-Fetch-Site: same-origin", which browsers ' +
      'send over TLS and to localhost',
  )
}

/**
 * Checks the origin of a request that changes state with the application's own login. That login may be a cookie or
 * another credential that browsers add by themselves.
 * @throws Problem `foreign-origin`
 */
export function requireAllowedLogin(request: FastifyRequest, allowed: OriginList): void {
  if (isFromPage(request)) requireAllowedOrigin(request, allowed)
}

/** Whether a page may have made a request: the request has a cookie, an origin, or a header that only browsers send. */
export function isFromPage({ headers }: FastifyRequest): boolean {
  return headers.cookie !== undefined || headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
}

function foreignOrigin({ headers: { origin } }: FastifyRequest, missing: string): Problem {
  const what = origin === undefined ? missing : `${quote(origin)} is not one of them`
  return new Problem(
    'foreign-origin',
    "A request that changes state with a cookie must come from a page of the hub's own origin " +
      `or of an origin in FANFARE_CORS_ORIGINS ("*" does not count): ${what}. A request with the token in the header ` +
      '"Authorization" may come from any page.',
  )
}

function ownOrigin(request: FastifyRequest): string | undefined {
  const url = `${request.protocol}://${request.host}`
  return URL.canParse(url) ? new URL(url).origin : undefined // URL drops a default port, as browsers do
}
