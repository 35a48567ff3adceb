/** The cookie that holds a browser's token: an EventSource cannot send a header. Scripts cannot read the cookie. */
import { parseCookie, stringifySetCookie, type SetCookie } from 'cookie'
import { Problem } from '../errors.js'

export const SESSION_COOKIE = 'fanfare_token'

/** The size of a cookie that every browser accepts: name, value and attributes, in bytes (RFC 6265, 6.1). */
const MAX_BYTES = 4_096
/** The maximum age of a cookie in browsers, in seconds (RFC 6265bis, 5.5). */
const MAX_AGE = 400 * 86_400

/** The attributes that limit where a browser sends the cookie. */
export interface CookieScope {
  /** The prefix of the hub's routes. */
  path: string
  /** Whether the request came over TLS. */
  secure: boolean
  /** Whether pages of other sites may use the cookie. Browsers require TLS for that. */
  crossSite: boolean
}

/** Returns the token in a header `Cookie`; `undefined` if there is none. */
export function readSession(header: string | undefined): string | undefined {
  if (header === undefined || !header.includes(SESSION_COOKIE)) return undefined
  return parseCookie(header)[SESSION_COOKIE] || undefined // an empty cookie counts as missing
}

/**
 * Returns the header `Set-Cookie` that stores a token in a browser.
 * @param expiresAt when the token expires, in milliseconds since the Unix epoch; `undefined`: the cookie ends with the
 *   browser's session
 * @throws Problem `invalid-request` if the token is too large for a cookie
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
      `The token is too large for a cookie: the cookie would have ${bytes} bytes, and browsers accept ${MAX_BYTES}. Issue a token with fewer grants, or use a ticket (POST /tickets).`,
    )
  return header
}

/** Returns the header `Set-Cookie` that deletes the token in a browser. */
export function clearSession(scope: CookieScope): string {
  return stringifySetCookie({ ...attributes(scope), value: '', maxAge: 0, expires: new Date(0) })
}

/**
 * Returns the attributes of the cookie. For pages of other sites the cookie is partitioned (CHIPS): each of these sites
 * has its own cookie. Many browsers block cookies that are not partitioned there.
 */
function attributes({ path, secure, crossSite }: CookieScope): Omit<SetCookie, 'value'> {
  return {
    name: SESSION_COOKIE,
    path: cookiePath(path),
    httpOnly: true,
    secure,
    sameSite: crossSite ? 'none' : 'lax',
    partitioned: crossSite,
  }
}

/** The characters that the path of a cookie cannot have: `;` would end the attribute (RFC 6265, 4.1.1). */
const NOT_IN_PATH = /[^ -:=-~]/

/** Returns the longest path above `path` that a cookie can have. A browser sends the cookie below it, too. */
function cookiePath(path: string): string {
  const end = path.search(NOT_IN_PATH)
  return end === -1 ? path : path.slice(0, path.lastIndexOf('/', end)) || '/'
}
