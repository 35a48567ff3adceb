/** Publishes batches on keep-alive connections. Each publisher sends its next batch when its last one is answered. */
import { createToken } from '../token.js'
import { now } from './clock.js'
import { blankPayload } from './mark.js'
import { postRequest } from './request.js'
import { sendOneByOne } from './sequential.js'
import { topicName } from './topic.js'

export interface BatchesPlan {
  port: number
  publishers: number
  /** The number of batches of all publishers together. */
  batches: number
  /** The number of events in a batch, and the number of topics. */
  size: number
  /** The size of an event's data, in bytes. */
  payload: number
}

/**
 * Returns the time from the first write to the last answer, in seconds.
 * @throws Error if a batch is refused
 */
export async function publishBatches({ publishers, batches, ...plan }: BatchesPlan): Promise<number> {
  const startedAt = now()
  let left = batches
  await Promise.all(Array.from({ length: publishers }, () => publishOneByOne(plan, () => left-- > 0)))
  return (now() - startedAt) / 1e6
}

/**
 * Publishes one batch at a time.
 * @param isMore whether there is another batch to publish
 */
async function publishOneByOne(
  { port, size, payload }: Omit<BatchesPlan, 'publishers' | 'batches'>,
  isMore: () => boolean,
): Promise<void> {
  const events = Array.from({ length: size }, (_, index) => ({ topic: topicName(index), data: blankPayload(payload) }))
  const request = postRequest('/events', createToken('publisher'), { events })
  await sendOneByOne(port, request, isMore)
}
