/**
 * The cursors of live reads (Durable Streams, 10.1). A client repeats the cursor in its next request, so that the URL
 * changes with the time, and a cache cannot answer with the same empty answer forever.
 */
import { wallNow } from '../../model/clock.js'

/** The time for which the cursor stays the same, in milliseconds, and the time of cursor 0. Both are the protocol's. */
const INTERVAL = 20_000
const EPOCH = Date.UTC(2024, 9, 9)
/** The maximum jitter: 3,600 s, in intervals. */
const MAX_JITTER = 3_600_000 / INTERVAL

/**
 * Returns the cursor of an answer. It is greater than the client's.
 * @param client the client's cursor; any text, which is ignored if it is not a cursor
 */
export function nextCursor(client: string | undefined): number {
  const current = Math.floor((wallNow() - EPOCH) / INTERVAL)
  const sent = client !== undefined && /^\d{1,12}$/.test(client) ? Number(client) : -1
  return sent < current ? current : sent + 1 + Math.floor(Math.random() * MAX_JITTER)
}
