/** Publishes an event. The request is repeated while the hub does not answer, and the event is stored once. */
import type { Http } from './http.js'
import { insist } from './insist.js'
import { TIME_LIMIT } from './request.js'
import type { NewEvent, PublishOptions, Receipt } from './types.js'

/**
 * @param closed aborted when the client is closed: no attempt follows, and the error of the last one is thrown
 * @throws HubError
 */
export async function publish(
  http: Http,
  topic: string,
  event: NewEvent,
  { signal, timeout }: PublishOptions = {},
  closed?: AbortSignal,
): Promise<Receipt> {
  const body = event.ephemeral ? event : { id: randomId(), ...event }
  const attempt = (limit: number): Promise<Receipt> =>
    http.request<Receipt>('POST', `topics/${encodeURIComponent(topic)}/events`, { body, signal, timeout: limit })
  // the hub may have sent an ephemeral event, and would not recognise it
  if (event.ephemeral) return attempt(Math.min(TIME_LIMIT, timeout ?? TIME_LIMIT))
  return insist(attempt, { signal, closed, timeout, maxWait: http.options.maxWait })
}

/** Returns a random id. Pages without TLS have no `crypto.randomUUID`. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
