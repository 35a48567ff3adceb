/** Loads the parts of the client that a page does not need at once. */
import { backoff, delay } from './backoff.js'
import { unreachable } from './errors.js'
import type { PublishOptions } from './types.js'

/** The wait after the first failure, in milliseconds. */
const RETRY = 1_000

/**
 * Loads a part. A file that cannot be loaded is like a hub that cannot be reached.
 * @param load imports the part
 * @param limits `timeout`: how long the load is repeated, in milliseconds; default: one attempt
 * @throws HubError `unreachable`
 */
export async function later<Part>(
  load: () => Promise<Part>,
  { timeout = 0, signal }: PublishOptions = {},
): Promise<Part> {
  const until = performance.now() + timeout
  for (let failures = 0; ; failures++) {
    try {
      return await load()
    } catch (cause) {
      const wait = backoff(RETRY, failures)
      if (performance.now() + wait > until) throw unreachable(cause)
      await delay(wait, signal)
      signal?.throwIfAborted()
    }
  }
}
