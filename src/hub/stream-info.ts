/** The description of an open stream, as in `GET /connections` and on `fanfare.connections`. */
import { canonicalAddress } from '../model/client-address.js'
import { arrayOf, isNumber, isString, nullable, oneOf, optional, shapeOf } from '../model/shape.js'
import type { CloseReason } from '../wire/sse.js'
import type { Connection } from './connections.js'

/** The topic with an event for each stream that opens, changes or ends. */
export const CONNECTIONS_TOPIC = 'fanfare.connections'

/** Describes one stream or live read. Times are as in RFC 3339. */
export interface StreamInfo {
  /** The id of its connection. */
  id: string
  /** The `sub` of its token; `null`: the token has none, or there is no token. */
  subject: string | null
  /** The address of its subscriber; `null`: there is none, as on a Unix socket. */
  address: string | null
  /** Its topics and patterns. */
  topics: string[]
  /** When it was opened. */
  since: string
  /** The cursor from which it would resume. */
  cursor: string
  /** When its token expires; `null`: never. */
  expiresAt: string | null
  /** The number of events and of bytes that it has been sent. */
  sent: { events: number; bytes: number }
  /** The maximum number of events that it has not been sent. */
  lag: number
}

const members = {
  id: isString,
  subject: nullable(isString),
  address: nullable(isString),
  topics: arrayOf(isString),
  since: isString,
  cursor: isString,
  expiresAt: nullable(isString),
  sent: shapeOf({ events: isNumber, bytes: isNumber }),
  lag: isNumber,
}

/** Whether a value of another process describes a stream. */
export const isStreamInfo = shapeOf<StreamInfo>(members)

/** The data of an event on `fanfare.connections`. */
export interface ConnectionChange extends StreamInfo {
  /** `changed`: the topics or the token have changed. */
  change: 'opened' | 'changed' | 'closed'
  /** Why it was closed; `gone`: the subscriber or the network closed it. */
  reason: CloseReason | 'gone' | 'ended' | undefined
}

/** Whether a value of another process is a change of a stream. */
export const isConnectionChange = shapeOf<ConnectionChange>({
  ...members,
  change: oneOf('opened', 'changed', 'closed'),
  reason: optional(oneOf('expired', 'revoked', 'drain', 'slow', 'lifetime', 'busy', 'gone', 'ended')),
})

export function describeStream(
  { info: { id, address, principal }, selection, since, sentEvents, sentBytes }: Connection,
  cursor: string,
  lag: number,
): StreamInfo {
  return {
    id,
    subject: principal.subject ?? null,
    address: address === undefined ? null : canonicalAddress(address),
    topics: [...selection.patterns],
    since: new Date(since).toISOString(),
    cursor,
    expiresAt: rfc3339(principal.expiresAt),
    sent: { events: sentEvents, bytes: sentBytes },
    lag,
  }
}

/** Formats a time of the wall clock as in RFC 3339. */
export function rfc3339(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString()
}
