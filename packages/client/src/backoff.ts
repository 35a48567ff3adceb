/** The wait before an attempt is repeated. */

/** The default ceiling of the wait, in milliseconds. */
export const MAX_WAIT = 30_000

/**
 * Returns the wait before the next attempt, in milliseconds. It doubles with each failure, up to a ceiling. Half of it
 * is drawn at random, so that clients do not return all at once.
 * @param base the wait after the first failure, without the random part
 * @param failures the number of earlier failures in a row
 */
export function backoff(base: number, failures: number, ceiling = MAX_WAIT): number {
  return Math.min(ceiling, base * 2 ** failures) * (0.5 + Math.random() / 2)
}

/** Resolves after a time, or at once when a signal is aborted. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
