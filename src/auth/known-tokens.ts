/** Remembers the tokens that have been verified, since verifying one costs more than publishing an event. */
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import { hasExpired } from '../model/principal.js'
import type { Settings } from '../settings.js'
import { readClaims, type Bearer } from './principal.js'
import type { TokenClaims } from './verifier.js'

/** How many characters of tokens are remembered. */
const CACHE_SIZE = 8 * 1024 * 1024
/** For how long a token is remembered, in milliseconds: the key that it was verified with may be withdrawn. */
const CACHE_AGE = 600_000

/** A token that has been checked. */
interface KnownToken {
  principal: Bearer
  /** Until when it is accepted, in milliseconds since the epoch of Unix: its `exp`, and the tolerance. */
  until: number
}

export type ClaimSettings = Pick<Settings, 'jwtClaim' | 'anonymousSubscribe' | 'clockTolerance'>

export class KnownTokens {
  readonly #verify: (token: string) => Promise<TokenClaims>
  readonly #settings: ClaimSettings
  readonly #known = new LRUCache<string, KnownToken>({
    maxSize: CACHE_SIZE,
    sizeCalculation: (_known, token) => token.length + 500,
    ttl: CACHE_AGE,
  })

  /** @param verify checks a token and returns its claims, or throws a Problem */
  constructor(verify: (token: string) => Promise<TokenClaims>, settings: ClaimSettings) {
    this.#verify = verify
    this.#settings = settings
  }

  /**
   * Returns the principal of a token.
   * @throws Problem saying what is wrong with the token
   */
  async read(token: string): Promise<Bearer> {
    let found = this.#known.get(token)
    if (!found) {
      const { jwtClaim, anonymousSubscribe, clockTolerance } = this.#settings
      const principal = readClaims(await this.#verify(token), jwtClaim, anonymousSubscribe)
      this.#known.set(token, (found = { principal, until: (principal.expiresAt ?? Infinity) + clockTolerance }))
    }
    if (found.until <= Date.now()) throw expiredToken()
    if (hasExpired(found.principal)) found.principal = { ...found.principal, acceptedUntil: found.until }
    return found.principal
  }

  /** Forgets every token: each is verified again. */
  clear(): void {
    this.#known.clear()
  }
}

/** The refusal of a token whose time is over. */
export function expiredToken(): Problem {
  return new Problem('expired-token', 'The token has expired: its "exp" is in the past.')
}
