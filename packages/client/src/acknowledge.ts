/** Acknowledges events of a named cursor: one request at a time, for the newest event. */
import { backoff, delay } from './backoff.js'
import { isFinal } from './errors.js'
import type { Http } from './http.js'

/** The wait after the first failure, in milliseconds. */
const RETRY = 1_000

/**
 * Returns a function that acknowledges everything up to a cursor. An acknowledgement that has not been sent when a
 * newer one comes is left out.
 * @param onRefused called once if the hub refuses an acknowledgement for good
 * @param isOver whether the subscription has ended: an acknowledgement that fails is not repeated then
 */
export function createAcknowledger(
  http: Http,
  name: string,
  onRefused: (error: unknown) => void,
  isOver: () => boolean,
): (cursor: string) => void {
  let newest: string | undefined
  let isSending = false

  async function send(): Promise<void> {
    isSending = true
    for (let failures = 0; newest !== undefined;) {
      const id: string = newest
      try {
        await http.request('PUT', `cursors/${encodeURIComponent(name)}`, { body: { id } })
        if (newest === id) newest = undefined
        failures = 0
      } catch (error) {
        if (isFinal(error)) return onRefused(error)
        if (isOver()) return
        await delay(backoff(RETRY, failures++, http.options.maxWait))
      }
    }
    isSending = false
  }

  return (cursor) => {
    newest = cursor
    if (!isSending) void send()
  }
}
