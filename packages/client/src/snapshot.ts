/** Loads the snapshot of a subscription, until it succeeds or is refused for good. */
import { backoff, delay } from './backoff.js'
import { reaches } from './cursor.js'
import type { DeliveryLink } from './delivery.js'
import { isFinal } from './errors.js'
import type { SnapshotRequest, SubscribeOptions } from './types.js'

/** The wait after the first failure, in milliseconds. */
const RETRY = 1_000

/**
 * Returns the cursor up to which the snapshot has the events, if it tells one.
 * @param position the cursor of the subscription
 */
export async function loadSnapshot(
  snapshot: NonNullable<SubscribeOptions['snapshot']>,
  request: SnapshotRequest,
  position: string | undefined,
  link: DeliveryLink,
): Promise<string | undefined> {
  const isOver = (): boolean => request.signal.aborted
  for (let failures = 0; !isOver(); failures++) {
    try {
      const cursor = await snapshot(request)
      if (isOver()) break
      link.onLoading(undefined)
      if (typeof cursor !== 'string') break
      if (position !== undefined && !reaches(cursor, position)) link.onBehind(cursor)
      return cursor
    } catch (error) {
      if (isOver()) break
      if (isFinal(error)) link.onRefused(error)
      else {
        const retryIn = backoff(RETRY, failures)
        link.onLoading({ status: 'waiting', reason: 'snapshot', error, retryIn })
        await delay(retryIn, request.signal)
      }
    }
  }
  return undefined
}
