/** Authentication: who makes a request. A token is checked once and remembered, since checking costs more than publishing. */
import jwt, { type VerifyOptions } from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { fromPublicKey, fromSecret } from '../auth/keys.js'
import { anonymous, readClaims } from '../auth/principal.js'
import { Problem, type ProblemCode } from '../errors.js'
import type { Principal } from '../hub/principal.js'
import type { Settings } from '../settings.js'
import { SettingsError } from '../settings.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who makes this request; routes that use the hook `app.authenticate` have it. */
    fanfarePrincipal: Principal | null
  }
  interface FastifyInstance {
    /** An `onRequest` hook that sets `request.fanfarePrincipal`, or refuses the request with 401. */
    authenticate: (request: FastifyRequest) => Promise<void>
  }
}

declare module '@fastify/jwt' {
  interface JWT {
    fanfare: { verify: (token: string) => Record<string, unknown> }
  }
}

/** How many characters of tokens are remembered. */
const CACHE_SIZE = 8 * 1024 * 1024
/** How long a secret for HS256 has to be (RFC 7518, 3.2). */
const SECRET_BYTES = 32
/** Names under which tokens are put into URLs by mistake. */
const QUERY_NAMES = ['token', 'access_token', 'authorization', 'jwt']

/** What the JWT library's codes are called here. */
const CODES: Record<string, [ProblemCode, string]> = {
  FAST_JWT_EXPIRED: ['expired-token', 'The token has expired: its "exp" is in the past.'],
  FAST_JWT_INACTIVE: ['inactive-token', 'The token is not valid yet: its "nbf" is in the future.'],
  FAST_JWT_INVALID_ALGORITHM: ['invalid-algorithm', 'The token is signed with another algorithm than the key of this hub is for.'],
  FAST_JWT_INVALID_KEY: ['invalid-algorithm', 'The token is signed with another algorithm than the key of this hub is for.'],
  FAST_JWT_INVALID_SIGNATURE: ['invalid-signature', 'The signature does not fit: the token was signed with another key, or changed.'],
  FAST_JWT_MISSING_SIGNATURE: ['invalid-algorithm', 'The token is not signed.'],
  FAST_JWT_MALFORMED: ['malformed-token', 'What was sent is not a JSON Web Token.'],
  FAST_JWT_INVALID_TYPE: ['malformed-token', 'What was sent is not a JSON Web Token.'],
}

type Options = Pick<Settings, 'jwtSecret' | 'jwtPublicKey' | 'jwtIssuer' | 'jwtAudience' | 'jwtClaim' | 'queryToken' | 'anonymousSubscribe'>

export default fp<Options>(async (app, options) => {
  const { key, algorithms } = options.jwtPublicKey === undefined ? fromSecret(required(options.jwtSecret)) : fromPublicKey(options.jwtPublicKey)
  const verify: Partial<VerifyOptions> = { algorithms, cache: false }
  const requiredClaims: string[] = [] // what is only allowed may be missing
  if (options.jwtIssuer !== undefined) {
    verify.allowedIss = options.jwtIssuer
    requiredClaims.push('iss')
  }
  if (options.jwtAudience !== undefined) {
    verify.allowedAud = options.jwtAudience
    requiredClaims.push('aud')
  }
  verify.requiredClaims = requiredClaims
  if (options.jwtSecret !== undefined && Buffer.byteLength(options.jwtSecret) < SECRET_BYTES) {
    app.log.warn(`the secret for tokens has fewer than ${SECRET_BYTES} bytes, and can be guessed (RFC 7518, 3.2)`)
  }
  await app.register(jwt, {
    namespace: 'fanfare', // the application that embeds the hub may use @fastify/jwt itself
    secret: options.jwtPublicKey === undefined ? key : { public: key, private: '' },
    verify,
  })

  const nobody = anonymous(options.anonymousSubscribe)
  const known = new LRUCache<string, Principal>({ maxSize: CACHE_SIZE, sizeCalculation: (_principal, token) => token.length + 500 })

  function principalOf(token: string, where: string): Principal {
    let principal = known.get(token)
    if (!principal) {
      principal = readClaims(check(token, where), options.jwtClaim, options.anonymousSubscribe)
      known.set(token, principal)
    }
    if (principal.expiresAt !== undefined && principal.expiresAt <= Date.now()) throw refuse('expired-token', where, CODES.FAST_JWT_EXPIRED![1])
    return principal
  }

  function check(token: string, where: string): Record<string, unknown> {
    try {
      return app.jwt.fanfare.verify(token)
    } catch (err) {
      const code = err instanceof Error && 'code' in err ? String(err.code) : ''
      const [problem, words] = CODES[code] ?? ['invalid-claims', `The token is not accepted: ${err instanceof Error ? err.message : String(err)}`]
      throw refuse(problem, where, words, err)
    }
  }

  app.decorateRequest('fanfarePrincipal', null)
  app.decorate('authenticate', async (request: FastifyRequest) => {
    const found = findToken(request, options.queryToken)
    request.fanfarePrincipal = found ? principalOf(found.token, found.where) : nobody
  })
}, { name: 'fanfare-auth', fastify: '5.x' })

/** Finds the token of a request, first in the header; `undefined` when there is none. */
function findToken(request: FastifyRequest, inQuery: boolean): { token: string; where: string } | undefined {
  const query = request.query as Record<string, unknown>
  const named = QUERY_NAMES.find((name) => query[name] !== undefined)
  if (named !== undefined && !(inQuery && named === 'token')) {
    throw new Problem('token-in-query', `The query has "${named}". URLs end up in logs, so a token belongs in the header "Authorization: Bearer …"; a browser's EventSource, which cannot send that, uses a ticket (POST /tickets) or a cookie (POST /sessions).`)
  }
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization) ?? []
    if (token === undefined) throw refuse('malformed-token', 'in the header "Authorization"', 'It has to be "Bearer", a space and a token.')
    return { token, where: 'in the header "Authorization"' }
  }
  return typeof query.token === 'string' ? { token: query.token, where: 'in the query, as "token"' } : undefined
}

function refuse(code: ProblemCode, where: string, words: string, cause?: unknown): Problem {
  return new Problem(code, `A token was found ${where}. ${words}`, {}, { cause })
}

function required(secret: string | undefined): string {
  if (secret === undefined) throw new SettingsError('There is no key to verify tokens with: set FANFARE_JWT_SECRET or FANFARE_JWT_PUBLIC_KEY (as a plugin: jwtSecret or jwtPublicKey).')
  return secret
}
