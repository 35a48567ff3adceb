/** Authentication: who makes a request. */
import { randomBytes } from 'node:crypto'
import jwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { KnownTokens } from '../auth/known-tokens.js'
import { OriginList } from '../auth/origin-list.js'
import type { Bearer } from '../auth/principal.js'
import type { Authenticate } from '../auth/principal-input.js'
import { Revocations } from '../auth/revocations.js'
import { Tickets } from '../auth/tickets.js'
import { refuseTokenInQuery, type TokenSearch } from '../auth/token-search.js'
import { TokenVerifier, type VerifierSettings } from '../auth/verifier.js'
import type { Settings } from '../settings.js'
import { Authenticator } from './authenticator.js'

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

/** How long a secret for HS256 has to be (RFC 7518, 3.2). */
const SECRET_BYTES = 32

type Options = VerifierSettings &
  Pick<Settings, 'jwtClaim' | 'queryToken' | 'anonymousSubscribe' | 'ticketTtl' | 'corsOrigins'> & {
    /** The application's own login, for requests without a token. */
    authenticate?: Authenticate | undefined
  }

export default fp<Options>(
  async (app, { authenticate, corsOrigins, queryToken, ticketTtl, ...options }) => {
    const { anonymousSubscribe } = options
    await registerJwt(app)
    const tokens = new KnownTokens((token) => verifier.verify(token), options)
    const verifier = createVerifier(app, options, () => tokens.clear())
    void verifier.prepare() // what goes wrong is logged, and tried again with the first token
    warnOfSecret(app, options.jwtSecret)
    const { connections, records } = app.fanfareHub
    const tickets = await Tickets.open(records, ticketTtl, anonymousSubscribe)
    const revocations = await Revocations.open(records, (known) =>
      connections.end('revoked', ({ info }) => known.includes(info.principal)),
    )
    const listed = new OriginList(corsOrigins)
    const parts = { tokens, tickets, revocations, listed, authenticate, queryToken, anonymousSubscribe }
    const authenticator = new Authenticator(parts)

    app.decorate('tickets', tickets)
    app.decorate('revocations', revocations)
    app.decorateRequest(kPrincipal, null)
    app.decorateRequest('fanfarePrincipal', {
      getter(this: FastifyRequest) {
        const principal = this[kPrincipal]
        if (principal) authenticator.requireInForce(principal)
        return principal
      },
    })
    app.decorateRequest('fanfareToken', null)
    app.checkEach((request) => refuseTokenInQuery(request, queryToken))
    app.decorate('authenticate', async (request: FastifyRequest) => {
      request[kPrincipal] = await authenticator.identify(request)
    })
    app.addHook('preHandler', ({ [kPrincipal]: principal }, _reply, done) => {
      if (principal) authenticator.requireInForce(principal)
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

/** Registers the plugin for JSON Web Tokens in a place of the hub's own: the application and other hubs have theirs. */
async function registerJwt(app: FastifyInstance): Promise<void> {
  app.decorate('jwt', Object.create(null) as JWT)
  await app.register(jwt, {
    namespace: 'fanfare',
    // nobody's: each token is verified with the key that is found for it
    secret: randomBytes(32).toString('base64url'),
  })
}

/**
 * Creates the verifier of tokens, which logs what is wrong with keys that are fetched.
 * @param onChange called when a key has been replaced or withdrawn
 * @throws SettingsError when there is no key, or one that is of no use
 */
function createVerifier(app: FastifyInstance, settings: VerifierSettings, onChange: () => void): TokenVerifier {
  return new TokenVerifier(settings, (checks) => (token) => app.jwt.fanfare.verify(token, checks), {
    onHealth: (err) =>
      err
        ? app.log.error({ err, setting: 'FANFARE_JWKS_URL' }, 'the keys for tokens cannot be fetched')
        : app.log.info('the keys for tokens can be fetched again'),
    onChange,
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
}

function warnOfSecret(app: FastifyInstance, secret: string | undefined): void {
  if (secret === undefined) return
  if (Buffer.byteLength(secret) < SECRET_BYTES) {
    app.log.warn(`the secret for tokens has fewer than ${SECRET_BYTES} bytes, and can be guessed (RFC 7518, 3.2)`)
  }
  if (secret !== secret.trim()) {
    app.log.warn(
      'the secret for tokens begins or ends with white space, such as the line end of a file: tokens that are signed without it are refused',
    )
  }
}
