/** History: what the log holds, a page at a time. */
import { Problem } from '../errors.js'
import { parseCursor } from '../hub/cursor.js'
import type { StoredEvent } from '../hub/event.js'
import type { Hub } from '../hub/hub.js'
import { quote } from '../hub/quote.js'
import type { Selection } from '../hub/selection.js'
import { readCount } from './counts.js'
import type { EventsQuery, History, HistoryEvent } from '../schemas/stream.js'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/**
 * Reads a page.
 * @throws Problem `invalid-cursor`, `invalid-request`
 */
export async function readHistory(hub: Hub, selection: Selection, { after, limit, last }: EventsQuery): Promise<History> {
  if (last !== undefined && (after !== undefined || limit !== undefined)) {
    throw new Problem('invalid-request', 'Ask for the newest events (last) or for those behind a cursor (after, limit), not for both.')
  }
  const count = last === undefined ? readCount('limit', limit ?? String(DEFAULT_LIMIT), 1, MAX_LIMIT) : readCount('last', last, 1, MAX_LIMIT)
  const start = last === undefined ? startAfter(hub, after) : { sequence: await hub.before(selection, count), reason: undefined }
  const page = await hub.read(selection, { after: start.sequence, events: count })
  const reason = start.reason ?? (after !== undefined && page.gap ? 'expired' : undefined)
  const oldest = page.events[0]
  return {
    events: page.events.map((event) => toHistory(event, hub.cursor(event.sequence))),
    cursor: hub.cursor(page.position),
    more: page.more,
    gap: reason === undefined ? null : { reason, oldest: oldest ? hub.cursor(oldest.sequence) : null },
  }
}

function startAfter(hub: Hub, after: string | undefined): { sequence: number; reason: 'epoch' | 'future' | undefined } {
  if (after === undefined) return { sequence: 0, reason: undefined }
  const cursor = parseCursor(after)
  if (!cursor) throw new Problem('invalid-cursor', `${quote(after)} is no cursor: take one from an "id" or a "cursor" that the hub has sent.`)
  if (cursor.epoch !== hub.epoch) return { sequence: 0, reason: 'epoch' }
  if (cursor.sequence > hub.head) return { sequence: 0, reason: 'future' }
  return { sequence: cursor.sequence, reason: undefined }
}

/** An event as history shows it. */
export function toHistory({ topic, type, time, kind, payload }: StoredEvent, id: string): HistoryEvent {
  const event: HistoryEvent = { id, topic, time: new Date(time).toISOString() }
  if (type !== undefined) event.type = type
  if (kind === 'text') event.text = payload
  else event.data = JSON.parse(payload)
  return event
}
