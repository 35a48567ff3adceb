/** Acknowledges events of a named cursor: one request at a time, for the newest event. */
import { backoff, delay } from './backoff.js'
import { isFinal } from './errors.js'
import type { Http } from './http.js'

/** The wait after the first failure, in milliseconds. */
const RETRY = 1_000

export interface Acknowledger {
  /** Acknowledges everything up to a cursor. A newer cursor replaces one that has not been sent. */
  acknowledge(cursor: string): void
  /** The hub answers again: ends the wait after a failure, and repeats a request that may hang. */
  reopened(): void
}

/**
 * The stream itself must not acknowledge with its reconnect (`cursor` with `lastEventId`): the event with its last id
 * may still wait for the handler.
 * @param onRefused called once if the hub refuses an acknowledgement for good
 * @param isOver whether the subscription has ended: an acknowledgement that fails is not repeated then
 */
export function createAcknowledger(
  http: Http,
  name: string,
  onRefused: (error: unknown) => void,
  isOver: () => boolean,
): Acknowledger {
  let newest: string | undefined
  let isSending = false
  let attempt = new AbortController()
  let failures = 0

  async function send(): Promise<void> {
    isSending = true
    while (newest !== undefined) {
      const id: string = newest
      const { signal } = (attempt = new AbortController())
      try {
        await http.request('PUT', `cursors/${encodeURIComponent(name)}`, { body: { id }, signal })
        if (newest === id) newest = undefined
        failures = 0
      } catch (error) {
        if (isFinal(error)) return onRefused(error)
        if (isOver()) return
        await delay(backoff(RETRY, failures++, http.options.maxWait), signal)
      }
    }
    isSending = false
  }

  return {
    acknowledge(cursor) {
      newest = cursor
      if (!isSending) void send()
    },
    reopened() {
      failures = 0
      attempt.abort()
    },
  }
}
