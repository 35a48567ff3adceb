/** Repeats a request of the client until the hub answers. */
import { backoff, delay } from './backoff.js'
import { HubError, isFinal } from './errors.js'
import { TIME_LIMIT } from './request.js'

/**
 * How long a request is repeated by default, in milliseconds. The hub remembers publisher ids for 120 s by default
 * (`FANFARE_DEDUP_WINDOW`), also those of events that are trimmed at once.
 */
const TIMEOUT = 60_000
/** The wait after the first failure, in milliseconds. */
const RETRY = 500

export interface InsistOptions {
  signal?: AbortSignal | undefined
  /** Aborted: no attempt follows, and the error of the last one is thrown. */
  closed?: AbortSignal | undefined
  /** How long the hub has to answer, in milliseconds. Default: 60,000. */
  timeout?: number | undefined
  /** The ceiling of the wait before the next attempt, in milliseconds. */
  maxWait?: number | undefined
}

/**
 * Makes attempts until one succeeds, fails for good, or the time is over.
 * @param attempt gets its time limit in milliseconds
 * @throws HubError of the last attempt
 */
export async function insist<Result>(
  attempt: (timeout: number) => Promise<Result>,
  { signal, closed, timeout = TIMEOUT, maxWait }: InsistOptions = {},
): Promise<Result> {
  const until = performance.now() + timeout
  for (let failures = 0; ; failures++) {
    try {
      return await attempt(Math.max(0, Math.min(TIME_LIMIT, until - performance.now())))
    } catch (error) {
      signal?.throwIfAborted()
      const wait = (error instanceof HubError && error.retryAfter) || backoff(RETRY, failures, maxWait)
      if (isFinal(error) || performance.now() + wait > until) throw error
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
