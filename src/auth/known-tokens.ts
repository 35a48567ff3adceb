/** A cache of verified tokens: verifying a token costs more than publishing an event. */
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import { hasExpired } from '../model/principal.js'
import type { Settings } from '../settings.js'
import { readClaims, type Bearer } from './principal.js'
import type { TokenClaims } from './verifier.js'

/** The maximum size of the cache, in characters of tokens. */
const CACHE_SIZE = 8 * 1024 * 1024
/** How long a token is cached, in milliseconds. Its key may be withdrawn meanwhile. */
const CACHE_AGE = 600_000

/** A verified token. */
interface KnownToken {
  principal: Bearer
  /**
   * When the hub stops accepting the token, in milliseconds since the Unix epoch: its `exp` and the clock tolerance.
   */
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
   * @throws Problem naming the fault of the token
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

  /** Empties the cache: each token is verified again. */
  clear(): void {
    this.#known.clear()
  }
}

/** Returns the refusal of an expired token. */
export function expiredToken(): Problem {
  return new Problem('expired-token', 'The token has expired: its "exp" is in the past.')
}
