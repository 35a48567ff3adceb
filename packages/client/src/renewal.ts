/** Gives an open stream new tokens before its token expires (`PUT /connections/{id}/token`). */
import { backoff, delay } from './backoff.js'
import { isFinal } from './errors.js'
import type { Http } from './http.js'
import { timeLeft } from './claims.js'

/** A token is renewed this long before it expires, in milliseconds. */
const LEAD = 60_000
/** The longest delay of a timer, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1
/** The wait after a new token that has failed, in milliseconds. */
const RETRY = 1_000

/**
 * Returns how long to wait before a token is renewed, in milliseconds; `NaN`: it does not expire. The wait is drawn at
 * random below the limit, so that clients do not renew all at once.
 */
function renewalDelay(token: string | undefined): number {
  const left = timeLeft(token)
  return Math.min(MAX_DELAY, Math.max(1_000, Math.max(left - LEAD, left * 0.8) * (0.9 + Math.random() / 10)))
}

/**
 * Renews the token of a connection until the signal is aborted.
 * @param onRefused called if the hub refuses the token for this stream: another subject's, or the stream has ended
 */
export async function keepRenewing(
  { tokens, request, options }: Http,
  connection: string,
  signal: AbortSignal,
  onRefused: () => void,
): Promise<void> {
  const isOver = (): boolean => signal.aborted
  while (!isOver()) {
    try {
      const token = await tokens.get()
      const wait = renewalDelay(token)
      if (!(wait > 0)) return
      await delay(wait, signal)
      if (isOver() || (await tokens.get(token)) === token) continue
      await request('PUT', `connections/${connection}/token`)
    } catch (error) {
      if (isFinal(error)) return isOver() ? undefined : onRefused()
      await delay(backoff(RETRY, 0, options.maxWait), signal)
    }
  }
}
