/** Acknowledges events of a named cursor: one request at a time, for the newest event. */
import { backoff, delay } from './backoff.js'
import { isFinal } from './errors.js'
import type { Http } from './http.js'
import type { Subscription } from './subscription.js'

/** The wait after the first failure, in milliseconds. */
const RETRY = 1_000

export interface Acknowledger {
  /** Acknowledges everything up to a cursor. A newer cursor replaces one that has not been sent. */
  acknowledge(cursor: string): void
  /** The hub answers again: ends the wait after a failure, and repeats a request that may hang. */
  reopened(): void
}

/** Acknowledges everything up to a cursor. @throws HubError */
export async function acknowledge(http: Http, name: string, id: string, signal?: AbortSignal): Promise<void> {
  await http.request('PUT', `cursors/${encodeURIComponent(name)}`, { body: { id }, signal })
}

/**
 * The stream itself must not acknowledge with its reconnect (`cursor` with `lastEventId`): the event with its last id
 * may still wait for the handler.
 *
 * Once the subscription is over, a waiting acknowledgement is sent at once, for the last time.
 * @param subscription fails if the hub refuses an acknowledgement for good
 */
export function createAcknowledger(
  http: Http,
  name: string,
  { signal: over, fail }: Pick<Subscription, 'signal' | 'fail'>,
): Acknowledger {
  let newest: string | undefined
  let isSending = false
  let attempt = new AbortController()
  let waiting = new AbortController()
  let failures = 0
  const isOver = (): boolean => over.aborted

  async function send(): Promise<void> {
    while (newest !== undefined) {
      const id: string = newest
      const wasOver = isOver()
      attempt = new AbortController()
      try {
        await acknowledge(http, name, id, attempt.signal)
        if (newest === id) newest = undefined
        failures = 0
      } catch (error) {
        if (isFinal(error)) return fail(error)
        if (wasOver) return
        waiting = new AbortController()
        if (isOver() || attempt.signal.aborted) continue
        await delay(backoff(RETRY, failures++, http.options.maxWait), waiting.signal)
      }
    }
  }

  over.addEventListener('abort', () => waiting.abort())
  return {
    acknowledge(cursor) {
      newest = cursor
      if (isSending) return
      isSending = true
      void send().finally(() => (isSending = false))
    },
    reopened() {
      failures = 0
      attempt.abort()
      waiting.abort()
    },
  }
}
