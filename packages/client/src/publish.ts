/** Publishes an event. The request is repeated while the hub does not answer, and the event is stored once. */
import { backoff, delay } from './backoff.js'
import { isFinal, HubError } from './errors.js'
import type { Http } from './http.js'
import { TIME_LIMIT } from './request.js'
import type { NewEvent, PublishOptions, Receipt } from './types.js'

/**
 * How long the hub has to take an event by default, in milliseconds. The hub remembers publisher ids for 120 s by
 * default (`FANFARE_DEDUP_WINDOW`), also those of events that are trimmed at once.
 */
const TIMEOUT = 60_000
/** The wait after the first failure, in milliseconds. */
const RETRY = 500

/**
 * @param closed aborted when the client is closed: no attempt follows, and the error of the last one is thrown
 * @throws HubError
 */
export async function publish(
  http: Http,
  topic: string,
  event: NewEvent,
  { signal, timeout = TIMEOUT }: PublishOptions = {},
  closed?: AbortSignal,
): Promise<Receipt> {
  const body = event.ephemeral ? event : { id: randomId(), ...event }
  const until = performance.now() + timeout
  for (let failures = 0; ; failures++) {
    try {
      return await http.request<Receipt>('POST', `topics/${encodeURIComponent(topic)}/events`, {
        body,
        signal,
        timeout: Math.max(0, Math.min(TIME_LIMIT, until - performance.now())),
      })
    } catch (error) {
      signal?.throwIfAborted()
      const wait = (error instanceof HubError && error.retryAfter) || backoff(RETRY, failures, http.options.maxWait)
      // the hub may have sent an ephemeral event, and would not recognise it
      if (isFinal(error) || event.ephemeral || performance.now() + wait > until) throw error
      await delayUntil(wait, [signal, closed])
      signal?.throwIfAborted()
      if (closed?.aborted) throw error
    }
  }
}

/** Resolves after a time, or at once when one of the signals is aborted. */
async function delayUntil(ms: number, signals: (AbortSignal | undefined)[]): Promise<void> {
  const ending = new AbortController()
  const end = (): void => ending.abort()
  for (const signal of signals) signal?.addEventListener('abort', end)
  if (signals.some((signal) => signal?.aborted)) end()
  await delay(ms, ending.signal)
  for (const signal of signals) signal?.removeEventListener('abort', end)
}

/** Returns a random id. Pages without TLS have no `crypto.randomUUID`. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
