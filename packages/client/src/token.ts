/** The token of a client. */
import { later } from './later.js'
import type { Provided } from './types.js'

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
      const known = current
      if (known !== undefined && known !== refused && !(await isExpired(known))) return known
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

async function isExpired(token: string): Promise<boolean> {
  const { timeLeft } = await later(() => import('./claims.js'))
  return timeLeft(token) <= 0
}
