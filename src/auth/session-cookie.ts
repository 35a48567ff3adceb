/** The cookie that holds a browser's token, since an EventSource can send no header. Scripts cannot read it. */
import { parseCookie, stringifySetCookie, type SetCookie } from 'cookie'
import { Problem } from '../errors.js'

export const SESSION_COOKIE = 'fanfare_token'

/** How large a cookie may be, name, value and attributes together, to be taken by every browser (RFC 6265, 6.1). */
const MAX_BYTES = 4_096
/** For how long browsers keep a cookie at most, in seconds (RFC 6265bis, 5.5). */
const MAX_AGE = 400 * 86_400

/** Where a cookie is sent. */
export interface CookieScope {
  /** What the hub's routes start with. */
  path: string
  /** Whether the request came by TLS. */
  secure: boolean
  /** Whether pages of other sites may use it, which only TLS allows. */
  crossSite: boolean
}

/** The token in a request's header `Cookie`, if there is one. */
export function readSession(header: string | undefined): string | undefined {
  if (header === undefined || !header.includes(SESSION_COOKIE)) return undefined
  return parseCookie(header)[SESSION_COOKIE] || undefined // an empty one is none
}

/**
 * The header `Set-Cookie` that gives a browser a token until it ends.
 * @param expiresAt when it ends, in milliseconds; `undefined`: with the browser's session
 * @throws Problem `invalid-request` when the token is larger than a cookie may be
 */
export function writeSession(token: string, expiresAt: number | undefined, scope: CookieScope): string {
  const now = Date.now()
  const maxAge =
    expiresAt === undefined ? undefined : Math.min(MAX_AGE, Math.max(0, Math.floor((expiresAt - now) / 1_000)))
  const header = stringifySetCookie({
    ...attributes(scope),
    value: token,
    ...(maxAge === undefined ? {} : { maxAge, expires: new Date(now + maxAge * 1_000) }),
  })
  const bytes = Buffer.byteLength(header)
  if (bytes > MAX_BYTES)
    throw new Problem(
      'invalid-request',
      `The token is too large for a cookie: with its attributes it would have ${bytes} bytes, and browsers take ${MAX_BYTES}. Issue one with fewer grants, or use a ticket (POST /tickets).`,
    )
  return header
}

/** The header `Set-Cookie` that takes the token away again. */
export function clearSession(scope: CookieScope): string {
  return stringifySetCookie({ ...attributes(scope), value: '', maxAge: 0, expires: new Date(0) })
}

/**
 * For pages of other sites it is partitioned (CHIPS), since more and more browsers block any other cookie there: each
 * of these sites has its own.
 */
function attributes({ path, secure, crossSite }: CookieScope): Omit<SetCookie, 'value'> {
  return {
    name: SESSION_COOKIE,
    path,
    httpOnly: true,
    secure,
    sameSite: crossSite ? 'none' : 'lax',
    partitioned: crossSite,
  }
}
