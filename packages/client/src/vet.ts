/** Finds the topics that a hub refuses, when it has refused a stream or a change of several topics. */
import { HubError, isFinal } from './errors.js'
import type { Http } from './http.js'
import { streamPath, type Query } from './stream.js'

/**
 * Asks for a stream of each topic, one by one.
 * @param onRefused called for each refused topic
 * @returns whether the hub has refused one
 * @throws HubError if the hub cannot tell now
 */
export async function vet(
  http: Http,
  query: Query,
  patterns: readonly string[],
  onRefused: (patterns: readonly string[], error: HubError) => void,
): Promise<boolean> {
  let hasRefused = false
  for (const topic of patterns) {
    const asking = new AbortController()
    try {
      await http.open(await streamPath(http, { ...query, topic }), asking.signal)
    } catch (error) {
      if (!isFinal(error)) throw error
      hasRefused = true
      onRefused([topic], error)
    } finally {
      asking.abort()
    }
  }
  return hasRefused
}
