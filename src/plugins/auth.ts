/** Authenticates requests. */
import { randomBytes } from 'node:crypto'
import jwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { KnownTokens } from '../auth/known-tokens.js'
import { OriginList } from '../model/origin-list.js'
import type { Bearer } from '../auth/principal.js'
import type { Authenticate } from '../auth/principal-input.js'
import { Revocations } from '../auth/revocations.js'
import { Tickets } from '../auth/tickets.js'
import { refuseTokenInQuery, type TokenSearch } from '../auth/token-search.js'
import { fixedKeyChecks, TokenVerifier, type VerifierSettings } from '../auth/verifier.js'
import type { Settings } from '../settings.js'
import { Authenticator } from './authenticator.js'
import { kToken } from './found-token.js'
import { hubOf } from './hub.js'
import { kCheckEach } from './request-steps.js'

export const kAuthenticate = Symbol('fanfare.authenticate')
export const kPrincipal = Symbol('fanfare.principal')
export const kRequireInForce = Symbol('fanfare.requireInForce')
export const kTickets = Symbol('fanfare.tickets')
export const kRevocations = Symbol('fanfare.revocations')
/** The principal of a request at the time of the hook `app[kAuthenticate]`. */
const kIdentified = Symbol('fanfare.identified')

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The principal of this request, in routes with the hook `app[kAuthenticate]`. Each read throws a Problem if the
     * token has expired or was revoked meanwhile, so read it again after every `await`, before acting for the
     * principal. A `preHandler` hook checks the token too, since the body may have arrived slowly. Handlers call
     * `requirePrincipal`.
     */
    readonly [kPrincipal]: Bearer | null
    [kIdentified]: Bearer | null
  }
  interface FastifyInstance {
    /** An `onRequest` hook that sets `request[kPrincipal]`, or refuses the request with 401. */
    [kAuthenticate]: (request: FastifyRequest) => Promise<void>
    /**
     * Checks that the token of a principal from another process is in force.
     * @throws Problem `expired-token`, `revoked-token`
     */
    [kRequireInForce]: (principal: Bearer) => void
    [kTickets]: Tickets
    [kRevocations]: Revocations
  }
}

declare module '@fastify/jwt' {
  interface JWT {
    fanfare: { verify: (token: string) => Record<string, unknown> }
  }
}

/** The minimum length of a secret for HS256, in bytes (RFC 7518, 3.2). */
const SECRET_BYTES = 32

type Options = VerifierSettings &
  Pick<Settings, 'jwtClaim' | 'queryToken' | 'anonymousSubscribe' | 'ticketTtl' | 'corsOrigins'> & {
    /** The application's own login, for requests without a token. */
    authenticate?: Authenticate | undefined
  }

export default fp<Options>(
  async (app, { authenticate, corsOrigins, queryToken, ticketTtl, ...options }) => {
    const { anonymousSubscribe } = options
    await registerJwt(app, options)
    const tokens = new KnownTokens((token) => verifier.verify(token), options)
    const verifier = createVerifier(app, options, () => tokens.clear())
    void verifier.prepare() // an error is logged, and the first token fetches the keys again
    warnOfSecret(app, options.jwtSecret)
    const { connections, records } = hubOf(app)
    const tickets = await Tickets.open(records, ticketTtl, anonymousSubscribe)
    const revocations = await Revocations.open(records, (known) =>
      connections.end('revoked', ({ info }) => known.includes(info.principal)),
    )
    const listed = new OriginList(corsOrigins)
    const parts = { tokens, tickets, revocations, listed, authenticate, queryToken, anonymousSubscribe }
    const authenticator = new Authenticator(parts)

    app.decorate(kTickets, tickets)
    app.decorate(kRevocations, revocations)
    app.decorate(kRequireInForce, (principal: Bearer) => authenticator.requireInForce(principal))
    app.decorateRequest(kIdentified, null)
    app.decorateRequest(kPrincipal, {
      getter(this: FastifyRequest) {
        const principal = this[kIdentified]
        if (principal) authenticator.requireInForce(principal)
        return principal
      },
    })
    app.decorateRequest(kToken, null)
    app[kCheckEach]((request) => refuseTokenInQuery(request, queryToken))
    app.decorate(kAuthenticate, async (request: FastifyRequest) => {
      request[kIdentified] = await authenticator.identify(request)
    })
    app.addHook('preHandler', ({ [kIdentified]: principal }, _reply, done) => {
      if (principal) authenticator.requireInForce(principal)
      done()
    })
  },
  { name: 'fanfare-auth', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-errors', 'fanfare-checks'] },
)

/**
 * Returns the principal of a request. Each call checks again that the token is in force, so call it after every
 * `await`, before acting for the principal.
 * @throws Problem `expired-token`, `revoked-token`
 * @throws Error if the route lacks the hook `app[kAuthenticate]`, which is a mistake in the code
 */
export function requirePrincipal(request: Pick<FastifyRequest, typeof kPrincipal | 'method' | 'routeOptions'>): Bearer {
  return request[kPrincipal] ?? lacksHook(request)
}

/**
 * Returns where the token of a request was found.
 * @throws Error if the route lacks the hook `app[kAuthenticate]`, which is a mistake in the code
 */
export function requireTokenSearch(
  request: Pick<FastifyRequest, typeof kToken | 'method' | 'routeOptions'>,
): TokenSearch {
  return request[kToken] ?? lacksHook(request)
}

function lacksHook({ method, routeOptions }: Pick<FastifyRequest, 'method' | 'routeOptions'>): never {
  throw new Error(
    `The route ${method} ${routeOptions.url ?? ''} needs the hook app[kAuthenticate]: its handler reads the principal or the token.`,
  )
}

/**
 * Registers @fastify/jwt under a namespace, apart from that of the application and of other hubs. The plugin prepares
 * its key once: parsing a key takes twice as long as verifying a signature with it.
 * @throws SettingsError for an unusable key
 */
async function registerJwt(app: FastifyInstance, settings: VerifierSettings): Promise<void> {
  app.decorate('jwt', Object.create(null) as JWT)
  // the plugin requires a key, also on a hub with a key set, where TokenVerifier verifies the tokens
  const { key, ...verify } = fixedKeyChecks(settings) ?? { key: randomBytes(32).toString('base64url') }
  await app.register(jwt, { namespace: 'fanfare', secret: { public: key, private: '' }, verify })
}

/**
 * Creates the verifier of tokens, which logs faults of a key set.
 * @param onChange called when a key was replaced or withdrawn
 * @throws SettingsError if the settings have no key or an unusable key
 */
function createVerifier(app: FastifyInstance, settings: VerifierSettings, onChange: () => void): TokenVerifier {
  return new TokenVerifier(settings, (token) => app.jwt.fanfare.verify(token), {
    onHealth: (err) =>
      err
        ? app.log.error({ err, setting: 'FANFARE_JWKS_URL' }, 'cannot fetch the keys that verify tokens')
        : app.log.info('fetching the keys that verify tokens works again'),
    onChange,
    onWeakKeys: (kids) =>
      app.log.warn(
        { kids, setting: 'FANFARE_JWKS_URL' },
        'RSA keys of fewer than 2,048 bits are ignored (RFC 7518, 3.3): the hub refuses tokens that are signed with them',
      ),
    onBrokenKeys: (kids) =>
      app.log.warn(
        { kids, setting: 'FANFARE_JWKS_URL' },
        'malformed and private keys are ignored: the hub refuses tokens that are signed with them',
      ),
  })
}

function warnOfSecret(app: FastifyInstance, secret: string | undefined): void {
  if (secret === undefined) return
  if (Buffer.byteLength(secret) < SECRET_BYTES) {
    app.log.warn(
      `the secret for tokens has fewer than ${SECRET_BYTES} bytes, so an attacker can guess it (RFC 7518, 3.2)`,
    )
  }
  if (secret !== secret.trim()) {
    app.log.warn(
      'the secret for tokens begins or ends with white space, such as the line end of a file: the hub refuses tokens that are signed without it',
    )
  }
}
