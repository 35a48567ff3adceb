/** Identifies the principal of a request by a token, a ticket, a session cookie, or the application's own login. */
import type { FastifyRequest } from 'fastify'
import { expiredToken, type KnownTokens } from '../auth/known-tokens.js'
import { requireAllowedLogin, requireAllowedOrigin } from '../auth/origin.js'
import type { OriginList } from '../model/origin-list.js'
import { anonymous, type Bearer } from '../auth/principal.js'
import { readPrincipal, type Authenticate } from '../auth/principal-input.js'
import type { Revocations } from '../auth/revocations.js'
import type { Tickets } from '../auth/tickets.js'
import { findToken, foundByApplication, unknownToApplication, type TokenSearch } from '../auth/token-search.js'
import { Problem } from '../errors.js'
import type { Settings } from '../settings.js'
import { wantsStream } from './errors.js'
import { kToken } from './found-token.js'

/** Methods that change no state (RFC 9110, 9.2.1). */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']

/** The dependencies of an authenticator. */
interface Parts extends Pick<Settings, 'queryToken' | 'anonymousSubscribe'> {
  tokens: KnownTokens
  tickets: Tickets
  revocations: Revocations
  /** The origins whose pages may use the hub. */
  listed: OriginList
  /** The application's own login, for requests without a token. */
  authenticate: Authenticate | undefined
}

export class Authenticator {
  readonly #parts: Parts
  readonly #anonymous: Bearer

  constructor(parts: Parts) {
    this.#parts = parts
    this.#anonymous = anonymous(parts.anonymousSubscribe)
  }

  /**
   * Returns the principal of a request, and sets `request[kToken]`.
   * @throws Problem naming the fault of the token, or of the origin of the page
   */
  async identify(request: FastifyRequest): Promise<Bearer> {
    const { authenticate, listed, queryToken } = this.#parts
    const search = (request[kToken] = findToken(request, queryToken))
    if (search.source === 'cookie' && !isSafe(request)) requireAllowedOrigin(request, listed)
    try {
      const principal = await (authenticate && search.source === undefined
        ? this.#askApplication(request, search, authenticate)
        : this.#bearerOf(request, search))
      this.requireInForce(principal)
      return principal
    } catch (err) {
      if (!isSafe(request) || !this.#mayIgnore(search, err)) throw err
      // Browsers send the cookie with every request. A bad cookie must not block topics that need no token.
      request[kToken] = { ...search, source: undefined, refusal: err }
      return this.#anonymous
    }
  }

  /** @throws Problem `expired-token`, `revoked-token` */
  requireInForce(principal: Bearer): void {
    if (principal.acceptedUntil !== undefined && principal.acceptedUntil <= Date.now()) throw expiredToken()
    this.#parts.revocations.refuse(principal)
  }

  #bearerOf(request: FastifyRequest, { source, token }: TokenSearch): Bearer | Promise<Bearer> {
    if (source === undefined) return this.#anonymous
    if (source !== 'ticket') return this.#parts.tokens.read(token)
    const { takesTicket, eventStream } = request.routeOptions.config
    if (!(takesTicket ? takesTicket(request) : eventStream && wantsStream(request)))
      throw new Problem(
        'invalid-ticket',
        'A ticket only opens event streams (Accept: text/event-stream, or live=sse). Send the token itself.',
      )
    return this.#parts.tickets.read(token)
  }

  /** Asks the application's own login for the principal of a request without a token. */
  async #askApplication(request: FastifyRequest, search: TokenSearch, ask: Authenticate): Promise<Bearer> {
    const answer: unknown = await ask(request)
    if (answer === undefined) {
      request[kToken] = unknownToApplication(search)
      return this.#anonymous
    }
    request[kToken] = foundByApplication()
    if (!isSafe(request)) requireAllowedLogin(request, this.#parts.listed)
    try {
      return readPrincipal(answer, this.#parts.anonymousSubscribe)
    } catch (err) {
      throw new Error('the option authenticate returned an invalid principal', { cause: err })
    }
  }

  /** Whether a refusal is about a session cookie on a hub with topics that need no token. */
  #mayIgnore({ source }: TokenSearch, refusal: unknown): refusal is Problem {
    const { anonymousSubscribe } = this.#parts
    return source === 'cookie' && anonymousSubscribe.length > 0 && refusal instanceof Problem && refusal.status === 401
  }
}

function isSafe({ method }: FastifyRequest): boolean {
  return SAFE_METHODS.includes(method)
}
