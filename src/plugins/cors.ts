/** Cross-origin resource sharing (CORS): lets pages of listed origins use the hub. */
import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { isAllowedOrigin } from '../auth/origin.js'
import { OriginList } from '../model/origin-list.js'
import { withoutTokens } from '../server/logger.js'
import { SettingsError } from '../model/settings-error.js'
import type { Settings } from '../settings.js'
import { kPrepareEach } from './request-steps.js'
import type { Step } from './request-steps.js'

/** How long a browser may cache the answer to a preflight, in seconds: the maximum of Chromium. */
const PREFLIGHT_MAX_AGE = 7_200
/** How many refused origins are remembered after logging them, and for how long in milliseconds. */
const LOGGED_ORIGINS = 100
const LOGGED_AGE = 3_600_000
/** The entry that stands for the log message about further origins. */
const MORE = Symbol('more')
/** The maximum length of an origin in the log. A host name has 253 characters at most. */
const MAX_ORIGIN = 300
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** The headers of an answer that a page may read, besides those that every page may read (Fetch, 3.3.4). */
const EXPOSED_HEADERS = ['Fanfare-Connection', 'Last-Event-ID', 'Retry-After', 'WWW-Authenticate']
/** The name of a header (RFC 9110, 5.1). */
const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]{1,100}$/
/** How many headers a preflight may ask for. Tracing and monitoring add fewer than ten to a page's own. */
const MAX_ASKED_HEADERS = 100

/** Returns the CORS headers of an answer that is sent before any hook runs. */
export function corsHeaders(listed: OriginList, origin: string | undefined): Record<string, string> {
  if (listed.size === 0) return {}
  const exposed = { 'access-control-expose-headers': EXPOSED_HEADERS.join(', ') }
  if (listed.all) return { 'access-control-allow-origin': '*', ...exposed }
  if (origin === undefined || !listed.names(origin)) return { vary: 'Origin' }
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    ...exposed,
  }
}

/**
 * Returns the headers of the answer to a preflight (Fetch, 3.3.2) that reaches no hook. A page can read the refusal of
 * the request that follows only if its preflight succeeds.
 * @returns `undefined` if the request is not a preflight, or its origin is not allowed
 */
export function preflightHeaders(
  listed: OriginList,
  { method, headers }: Pick<FastifyRequest, 'method' | 'headers'>,
): Record<string, string> | undefined {
  const allowed = corsHeaders(listed, headers.origin)
  const asked = headers['access-control-request-headers']
  if (
    method !== 'OPTIONS' ||
    headers['access-control-request-method'] === undefined ||
    !('access-control-allow-origin' in allowed)
  )
    return undefined
  return {
    ...allowed,
    'access-control-allow-methods': METHODS.join(', '),
    ...(asked === undefined ? {} : { 'access-control-allow-headers': allowedHeaders(asked) }),
    'access-control-max-age': String(PREFLIGHT_MAX_AGE),
  }
}

export default fp<Pick<Settings, 'corsOrigins'>>(
  async (app, { corsOrigins }) => {
    const listed = new OriginList(corsOrigins)
    const logRefusal = createRefusalLog(app, listed)
    app[kPrepareEach]((request, reply) => {
      logRefusal(request, reply)
      if (listed.size > 0 && request.method === 'OPTIONS') limitAskedHeaders(request)
    })
    if (listed.size === 0) return
    if (app.hasRequestDecorator('corsPreflightEnabled'))
      throw new SettingsError(
        'The application already uses @fastify/cors, whose hooks run first: allow the origins there, and leave out the option corsOrigins.',
      )
    await app.register(cors, {
      origin: listed.all ? '*' : [...listed.matchers],
      credentials: !listed.all, // otherwise any page could use the visitor's cookie
      methods: METHODS,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_MAX_AGE,
      strictPreflight: false, // also answer an OPTIONS request that is not a preflight
    })
  },
  { name: 'fanfare-cors', fastify: '5.x', dependencies: ['fanfare-preparation'] },
)

/**
 * Returns a step that logs origins that are not allowed. For a page of such an origin, the browser says only "CORS
 * error", without a reason.
 */
function createRefusalLog(app: FastifyInstance, listed: OriginList): Step {
  const logged = new LRUCache<string | typeof MORE, true>({ max: LOGGED_ORIGINS + 1, ttl: LOGGED_AGE })

  return (request) => {
    const { origin } = request.headers
    if (origin === undefined || listed.all || isAllowedOrigin(request, listed) || logged.has(origin)) return
    if (listed.size === 0 && app.hasRequestDecorator('corsPreflightEnabled')) return
    if (logged.size >= LOGGED_ORIGINS) logged.purgeStale()
    if (logged.size >= LOGGED_ORIGINS) {
      if (logged.has(MORE)) return
      logged.set(MORE, true)
      request.log.info(
        { origins: LOGGED_ORIGINS, setting: 'FANFARE_CORS_ORIGINS' },
        'pages of further origins may not read the answers of the hub: further origins are not logged for an hour',
      )
      return
    }
    logged.set(origin, true)
    request.log.info(
      { origin: withoutTokens(origin).slice(0, MAX_ORIGIN), setting: 'FANFARE_CORS_ORIGINS' },
      'a page of this origin may not read the answers of the hub: FANFARE_CORS_ORIGINS does not list the origin',
    )
  }
}

/** Limits the headers that a preflight asks for, since @fastify/cors allows all of them. */
function limitAskedHeaders({ headers }: FastifyRequest): void {
  const asked = headers['access-control-request-headers']
  if (asked !== undefined) headers['access-control-request-headers'] = allowedHeaders(asked)
}

/**
 * Returns the headers of a preflight that a page may send: all of them, up to a maximum number. Tracing and monitoring
 * add headers to every request of a page, and the hub ignores unknown headers.
 */
function allowedHeaders(asked: string): string {
  return asked
    .split(',', MAX_ASKED_HEADERS)
    .map((name) => name.trim())
    .filter((name) => HEADER_NAME.test(name))
    .join(', ')
}
