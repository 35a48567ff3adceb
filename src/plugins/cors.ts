/** Which origins' pages may use the hub. */
import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { isAllowedOrigin } from '../auth/origin.js'
import { OriginList } from '../auth/origin-list.js'
import { withoutTokens } from '../server/logger.js'
import { SettingsError } from '../model/settings-error.js'
import type { Settings } from '../settings.js'
import type { Step } from './request-steps.js'

/** How long a browser may remember the answer to a preflight, in seconds: what Chromium caps it at. */
const PREFLIGHT_MAX_AGE = 7_200
/** How many origins, and for how long in milliseconds, it is remembered of that a refusal has been logged. */
const TOLD_ORIGINS = 100
const TOLD_AGE = 3_600_000
/** Remembered beside them: that there are more has been logged. */
const MORE = Symbol('more')
/** How much of an origin is logged: a host name has 253 characters at most. */
const MAX_ORIGIN = 300
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** What a page may read of an answer, besides what every page may (Fetch, 3.3.4). */
const EXPOSED_HEADERS = ['Fanfare-Connection', 'Last-Event-ID', 'Retry-After', 'WWW-Authenticate']
/** A header's name (RFC 9110, 5.1). */
const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]{1,100}$/
/** How many headers a preflight may ask for. Tracing and monitoring add fewer than ten to a page's own. */
const MAX_ASKED_HEADERS = 100

/** The headers of an answer that leaves before any hook has seen the request, so that its page can read it. */
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
 * The headers of the answer to a preflight (Fetch, 3.3.2) that no hook has seen; `undefined` when the request is none,
 * or its origin is not allowed. Without a good answer the page could not read the refusal of the request that follows.
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
    const tellOfRefusal = createRefusalLog(app, listed)
    app.prepareEach((request, reply) => {
      tellOfRefusal(request, reply)
      if (listed.size > 0 && request.method === 'OPTIONS') limitAskedHeaders(request)
    })
    if (listed.size === 0) return
    if (app.hasRequestDecorator('corsPreflightEnabled'))
      throw new SettingsError(
        'The application has CORS of its own, whose hooks come first: allow the origins there, and leave corsOrigins out.',
      )
    await app.register(cors, {
      origin: listed.all ? '*' : [...listed.matchers],
      credentials: !listed.all, // any page at all could use the visitor's cookie otherwise
      methods: METHODS,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_MAX_AGE,
      strictPreflight: false, // OPTIONS by hand is answered too
    })
  },
  { name: 'fanfare-cors', fastify: '5.x', dependencies: ['fanfare-preparation'] },
)

/**
 * Returns a step that logs which origins' pages may not read the answers. The browser tells its user nothing but "CORS
 * error", and the page not even that.
 */
function createRefusalLog(app: FastifyInstance, listed: OriginList): Step {
  const told = new LRUCache<string | typeof MORE, true>({ max: TOLD_ORIGINS + 1, ttl: TOLD_AGE })

  return (request) => {
    const { origin } = request.headers
    if (origin === undefined || listed.all || isAllowedOrigin(request, listed) || told.has(origin)) return
    if (listed.size === 0 && app.hasRequestDecorator('corsPreflightEnabled')) return
    if (told.size >= TOLD_ORIGINS) told.purgeStale()
    if (told.size >= TOLD_ORIGINS) {
      if (told.has(MORE)) return
      told.set(MORE, true)
      request.log.info(
        { origins: TOLD_ORIGINS, setting: 'FANFARE_CORS_ORIGINS' },
        'pages of more origins than these may not read what the hub answers: for an hour they are not logged one by one',
      )
      return
    }
    told.set(origin, true)
    request.log.info(
      { origin: withoutTokens(origin).slice(0, MAX_ORIGIN), setting: 'FANFARE_CORS_ORIGINS' },
      'a page of this origin may not read what the hub answers: FANFARE_CORS_ORIGINS does not list it',
    )
  }
}

/** Leaves in a preflight the headers that are allowed, since @fastify/cors repeats what it finds there. */
function limitAskedHeaders({ headers }: FastifyRequest): void {
  const asked = headers['access-control-request-headers']
  if (asked !== undefined) headers['access-control-request-headers'] = allowedHeaders(asked)
}

/**
 * Returns the headers that a page may send of those that its preflight asks for: all of them, up to a number. Tracing
 * and monitoring add headers to every request of a page, and the hub ignores the ones that it does not know.
 */
function allowedHeaders(asked: string): string {
  return asked
    .split(',', MAX_ASKED_HEADERS)
    .map((name) => name.trim())
    .filter((name) => HEADER_NAME.test(name))
    .join(', ')
}
