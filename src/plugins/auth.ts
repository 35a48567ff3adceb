/**
 * Authentication: who makes a request. A token is checked once and remembered, since checking costs more than
 * publishing.
 */
import { randomBytes } from 'node:crypto'
import jwt, { type JWT } from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { requireAllowedLogin, requireAllowedOrigin } from '../auth/origin.js'
import { OriginList } from '../auth/origin-list.js'
import { anonymous, readClaims, type Bearer } from '../auth/principal.js'
import { readPrincipal, type Authenticate } from '../auth/principal-input.js'
import { Revocations } from '../auth/revocations.js'
import { Tickets } from '../auth/tickets.js'
import {
  findToken,
  foundByApplication,
  refuseTokenInQuery,
  unknownToApplication,
  type TokenSearch,
} from '../auth/token-search.js'
import { TokenVerifier, type VerifierSettings } from '../auth/verifier.js'
import { Problem } from '../errors.js'
import { hasExpired } from '../model/principal.js'
import type { Settings } from '../settings.js'
import { wantsStream } from './errors.js'

/** Who makes a request, as of when its token was checked. */
const kPrincipal = Symbol('principal')

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Who makes this request; routes that use the hook `app.authenticate` have it. Each read checks again that the
     * token has neither expired nor been revoked, and throws a Problem if it has: so read it again after every `await`,
     * right before what it authorises. Before each handler it is read once, since a body may have taken its time.
     * Handlers call `requirePrincipal`, which reads it.
     */
    readonly fanfarePrincipal: Bearer | null
    [kPrincipal]: Bearer | null
    /** Where its token was looked for, and found. */
    fanfareToken: TokenSearch | null
  }
  interface FastifyInstance {
    /** An `onRequest` hook that sets `request.fanfarePrincipal`, or refuses the request with 401. */
    authenticate: (request: FastifyRequest) => Promise<void>
    tickets: Tickets
    revocations: Revocations
  }
}

declare module '@fastify/jwt' {
  interface JWT {
    fanfare: { verify: (token: string, options: object) => Record<string, unknown> }
  }
}

/** How many characters of tokens are remembered. */
const CACHE_SIZE = 8 * 1024 * 1024
/** For how long a token is remembered, in milliseconds: the key that it was verified with may be withdrawn. */
const CACHE_AGE = 600_000
/** How long a secret for HS256 has to be (RFC 7518, 3.2). */
const SECRET_BYTES = 32

/** A token that has been checked. */
interface KnownToken {
  principal: Bearer
  /** Until when it is accepted, in milliseconds since the epoch of Unix: its `exp`, and the tolerance. */
  until: number
}

/** What changes nothing (RFC 9110, 9.2.1). */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']

type Options = VerifierSettings &
  Pick<Settings, 'jwtClaim' | 'queryToken' | 'anonymousSubscribe' | 'ticketTtl' | 'corsOrigins'> & {
    /** The application's own login, for requests without a token. */
    authenticate?: Authenticate | undefined
  }

export default fp<Options>(
  async (app, { anonymousSubscribe, authenticate, corsOrigins, jwtClaim, queryToken, ticketTtl, ...options }) => {
    const { clockTolerance } = options
    const known = new LRUCache<string, KnownToken>({
      maxSize: CACHE_SIZE,
      sizeCalculation: (_known, token) => token.length + 500,
      ttl: CACHE_AGE,
    })
    // the plugin's own place: the application and other hubs have theirs
    app.decorate('jwt', Object.create(null) as JWT)
    await app.register(jwt, {
      namespace: 'fanfare',
      // nobody's: each token is verified with the key that is found for it
      secret: randomBytes(32).toString('base64url'),
    })
    const verifier = new TokenVerifier(options, (checks) => (token) => app.jwt.fanfare.verify(token, checks), {
      onHealth: (err) =>
        err
          ? app.log.error({ err, setting: 'FANFARE_JWKS_URL' }, 'the keys for tokens cannot be fetched')
          : app.log.info('the keys for tokens can be fetched again'),
      onChange: () => known.clear(),
      onWeakKeys: (kids) =>
        app.log.warn(
          { kids, setting: 'FANFARE_JWKS_URL' },
          'RSA keys of fewer than 2,048 bits are not used (RFC 7518, 3.3): tokens that are signed with them are refused',
        ),
      onBrokenKeys: (kids) =>
        app.log.warn(
          { kids, setting: 'FANFARE_JWKS_URL' },
          'keys that are malformed or private are not used: tokens that are signed with them are refused',
        ),
    })
    void verifier.prepare() // what goes wrong is logged, and tried again with the first token
    if (options.jwtSecret !== undefined && Buffer.byteLength(options.jwtSecret) < SECRET_BYTES) {
      app.log.warn(`the secret for tokens has fewer than ${SECRET_BYTES} bytes, and can be guessed (RFC 7518, 3.2)`)
    }
    const listed = new OriginList(corsOrigins)
    if (options.jwtSecret !== undefined && options.jwtSecret !== options.jwtSecret.trim()) {
      app.log.warn(
        'the secret for tokens begins or ends with white space, such as the line end of a file: tokens that are signed without it are refused',
      )
    }
    const nobody = anonymous(anonymousSubscribe)
    const tickets = new Tickets(app.fanfareHub.records, ticketTtl, anonymousSubscribe)
    const revocations = new Revocations(app.fanfareHub.records)

    async function principalOf(token: string): Promise<Bearer> {
      let found = known.get(token)
      if (!found) {
        const principal = readClaims(await verifier.verify(token), jwtClaim, anonymousSubscribe)
        known.set(token, (found = { principal, until: (principal.expiresAt ?? Infinity) + clockTolerance }))
      }
      if (found.until <= Date.now())
        throw new Problem('expired-token', 'The token has expired: its "exp" is in the past.')
      if (hasExpired(found.principal)) found.principal = { ...found.principal, acceptedUntil: found.until }
      return found.principal
    }

    /** @throws Problem `expired-token`, `revoked-token` */
    function requireInForce(principal: Bearer): void {
      if (principal.acceptedUntil !== undefined && principal.acceptedUntil <= Date.now())
        throw new Problem('expired-token', 'The token has expired: its "exp" is in the past.')
      revocations.refuse(principal)
    }

    function bearerOf(request: FastifyRequest, { source, token }: TokenSearch): Bearer | Promise<Bearer> {
      if (source === undefined) return nobody
      if (source !== 'ticket') return principalOf(token)
      if (!request.routeOptions.config.eventStream || !wantsStream(request))
        throw new Problem(
          'invalid-ticket',
          'A ticket opens event streams (Accept: text/event-stream) and does nothing else: send the token itself.',
        )
      return tickets.read(token)
    }

    /** Asks the application who makes a request without a token. */
    async function askApplication(request: FastifyRequest, search: TokenSearch, ask: Authenticate): Promise<Bearer> {
      const answer: unknown = await ask(request)
      if (answer === undefined) {
        request.fanfareToken = unknownToApplication(search)
        return nobody
      }
      request.fanfareToken = foundByApplication()
      if (!SAFE_METHODS.includes(request.method)) requireAllowedLogin(request, listed)
      try {
        return readPrincipal(answer, anonymousSubscribe)
      } catch (err) {
        throw new Error('the option authenticate gave an answer that is no principal', { cause: err })
      }
    }

    app.decorate('tickets', tickets)
    app.decorate('revocations', revocations)
    app.decorateRequest(kPrincipal, null)
    app.decorateRequest('fanfarePrincipal', {
      getter(this: FastifyRequest) {
        const principal = this[kPrincipal]
        if (principal) requireInForce(principal)
        return principal
      },
    })
    app.decorateRequest('fanfareToken', null)
    app.checkEach((request) => refuseTokenInQuery(request, queryToken))
    app.decorate('authenticate', async (request: FastifyRequest) => {
      const search = (request.fanfareToken = findToken(request, queryToken))
      const isSafe = SAFE_METHODS.includes(request.method)
      if (search.source === 'cookie' && !isSafe) requireAllowedOrigin(request, listed)
      try {
        const principal = await (authenticate && search.source === undefined
          ? askApplication(request, search, authenticate)
          : bearerOf(request, search))
        requireInForce(principal)
        request[kPrincipal] = principal
      } catch (err) {
        if (
          !isSafe ||
          search.source !== 'cookie' ||
          anonymousSubscribe.length === 0 ||
          !(err instanceof Problem) ||
          err.status !== 401
        )
          throw err
        // The browser sends the cookie by itself: it must not hide what needs no token.
        request.fanfareToken = { ...search, source: undefined, refusal: err }
        request[kPrincipal] = nobody
      }
    })
    app.addHook('preHandler', ({ [kPrincipal]: principal }, _reply, done) => {
      if (principal) requireInForce(principal)
      done()
    })
  },
  { name: 'fanfare-auth', fastify: '5.x', dependencies: ['fanfare-errors', 'fanfare-checks'] },
)

/**
 * Returns who makes a request. Each call checks again that the token is in force: call it again after every `await`,
 * right before what it authorises.
 * @throws Problem `expired-token`, `revoked-token`
 * @throws Error when the route does not use the hook `app.authenticate`, which is a mistake in the code
 */
export function requirePrincipal(
  request: Pick<FastifyRequest, 'fanfarePrincipal' | 'method' | 'routeOptions'>,
): Bearer {
  const principal = request.fanfarePrincipal
  if (!principal)
    throw new Error(
      `The route ${request.method} ${request.routeOptions.url ?? ''} needs the hook app.authenticate: its handler reads the principal.`,
    )
  return principal
}
