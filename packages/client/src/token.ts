/** The token of a client, and its claims. */
import type { Provided } from './types.js'

/** Reads the claims of a JWT (RFC 7519, 3). Returns none if the token is not a JWT. */
export function claimsOf(token = ''): Record<string, unknown> {
  try {
    const part = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** Returns how long a token is valid, in milliseconds, by the clock of this machine; `NaN`: it does not expire. */
export function timeLeft(token: string | undefined): number {
  return Number(claimsOf(token)['exp']) * 1_000 - Date.now()
}

export interface TokenSource {
  /**
   * Returns the token, and fetches it if necessary.
   * @param refused a token that the hub has refused or that is about to expire: another one is fetched
   */
  get(refused?: string): Promise<string | undefined>
  /** Forgets the token, which has expired by the clock of the hub. */
  drop(): void
  /** Listeners, called with each token that has been fetched. */
  readonly onToken: ((token: string) => void)[]
}

/** Keeps a token until it expires. Concurrent calls share one fetch. A token that was given as a string stays. */
export function createTokenSource(provided: Provided | undefined): TokenSource {
  let current: string | undefined
  let fetching: Promise<string> | undefined
  const onToken: TokenSource['onToken'] = []
  return {
    onToken,
    async get(refused) {
      if (typeof provided !== 'function') return provided
      if (current !== undefined && current !== refused && !(timeLeft(current) <= 0)) return current
      fetching ??= Promise.resolve()
        .then(provided)
        .then((token) => {
          current = token.trim()
          for (const listener of onToken) listener(current)
          return current
        })
        .finally(() => (fetching = undefined))
      return fetching
    },
    drop: () => (current = undefined),
  }
}
