/** Which origins' pages may use the hub. */
import cors from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { isAllowedOrigin } from '../auth/origin.js'
import { withoutTokens } from '../logger.js'
import { SettingsError } from '../settings-error.js'
import type { Settings } from '../settings.js'

/** How long a browser may remember the answer to a preflight, in seconds: what Chromium caps it at. */
const PREFLIGHT_MAX_AGE = 7_200
/** How many origins, and for how long in milliseconds, it is remembered of that a refusal has been logged. */
const TOLD_ORIGINS = 100
const TOLD_AGE = 3_600_000
/** Remembered beside them: that there are more has been logged. */
const MORE = Symbol('more')
/** How much of an origin is logged: a host name has 253 characters at most. */
const MAX_ORIGIN = 300

export default fp<Pick<Settings, 'corsOrigins'>>(async (app, { corsOrigins }) => {
  const told = new LRUCache<string | typeof MORE, true>({ max: TOLD_ORIGINS + 1, ttl: TOLD_AGE })

  /** The browser tells its user nothing but "CORS error", and the page not even that. */
  function tellOfRefusal(request: FastifyRequest): void {
    const { origin } = request.headers
    if (origin === undefined || corsOrigins.includes('*') || isAllowedOrigin(request, corsOrigins) || told.has(origin)) return
    if (corsOrigins.length === 0 && app.hasRequestDecorator('corsPreflightEnabled')) return
    if (told.size >= TOLD_ORIGINS) told.purgeStale()
    if (told.size >= TOLD_ORIGINS) {
      if (told.has(MORE)) return
      told.set(MORE, true)
      request.log.info({ origins: TOLD_ORIGINS, setting: 'FANFARE_CORS_ORIGINS' }, 'pages of more origins than these may not read what the hub answers: for an hour they are not logged one by one')
      return
    }
    told.set(origin, true)
    request.log.info({ origin: withoutTokens(origin).slice(0, MAX_ORIGIN), setting: 'FANFARE_CORS_ORIGINS' }, 'a page of this origin may not read what the hub answers: FANFARE_CORS_ORIGINS does not list it')
  }

  app.addHook('onRequest', (request, _reply, done) => {
    tellOfRefusal(request)
    done()
  })
  if (corsOrigins.length === 0) return
  if (app.hasRequestDecorator('corsPreflightEnabled')) throw new SettingsError('The application has CORS of its own, whose hooks come first: allow the origins there, and leave corsOrigins out.')
  const anywhere = corsOrigins.includes('*')
  await app.register(cors, {
    origin: anywhere ? '*' : corsOrigins,
    credentials: !anywhere, // any page at all could use the visitor's cookie otherwise
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID'],
    exposedHeaders: ['Fanfare-Connection', 'Last-Event-ID', 'Retry-After', 'WWW-Authenticate'],
    maxAge: PREFLIGHT_MAX_AGE,
    strictPreflight: false, // OPTIONS by hand is answered too
  })
}, { name: 'fanfare-cors', fastify: '5.x' })
