/** Reads pages of history. */
import { Problem } from '../../errors.js'
import { parseCursor } from '../../model/cursor.js'
import { lengthOf, type StoredEvent } from '../../model/event.js'
import { printEvent } from '../../model/history-event.js'
import type { Hub } from '../../hub/hub.js'
import { quote } from '../../model/quote.js'
import type { Page } from '../../log/log.js'
import type { Selection } from '../../model/selection.js'
import { mapInTurns } from '../../event-loop/time-slice.js'
import { readCount } from '../request/counts.js'
import type { EventsQuery, History } from '../../schemas/stream.js'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/** The maximum payload and attributes of a page, in bytes. A page has at least one event, even a larger one. */
const MAX_BYTES = 1024 * 1024

/**
 * Reads a page of history.
 * @returns the page as JSON of the schema `History`
 * @throws Problem `invalid-cursor`, `invalid-request`
 */
export async function readHistory(
  hub: Hub,
  selection: Selection,
  { after, limit, last }: EventsQuery,
): Promise<Buffer> {
  if (last !== undefined && (after !== undefined || limit !== undefined)) {
    throw new Problem(
      'invalid-request',
      'Use either "last" (the newest events) or "after" and "limit" (the events after a cursor), not both.',
    )
  }
  const count =
    last === undefined
      ? readCount('limit', limit ?? String(DEFAULT_LIMIT), 1, MAX_LIMIT)
      : readCount('last', last, 1, MAX_LIMIT)
  await hub.caughtUp(after)
  const start =
    last === undefined ? startAfter(hub, after) : { sequence: await hub.before(selection, count), reason: undefined }
  const page = await readPage(hub, selection, start.sequence, count, last !== undefined)
  const reason = start.reason ?? (hasGap(page, after) ? 'expired' : undefined)
  const oldest = page.events[0]
  const events = await mapInTurns(page.events, (event) => printEvent(event, hub.cursor(event.sequence)))
  const rest = JSON.stringify({
    cursor: hub.cursor(page.position),
    more: page.more,
    gap: reason === undefined ? null : { reason, oldest: oldest ? hub.cursor(oldest.sequence) : null },
  } satisfies Omit<History, 'events'>)
  return Buffer.from(`{"events":[${events.join(',')}],${rest.slice(1)}`)
}

/** @param isWhole whether to read on if the log returns a short page because few events match */
async function readPage(hub: Hub, selection: Selection, after: number, count: number, isWhole: boolean): Promise<Page> {
  let page = await hub.read(selection, { after, events: count, bytes: MAX_BYTES })
  let size = sizeOf(page.events)
  while (isWhole && page.more && page.events.length < count && size < MAX_BYTES) {
    const next = await hub.read(selection, {
      after: page.position,
      events: count - page.events.length,
      bytes: MAX_BYTES - size,
    })
    size += sizeOf(next.events)
    const trimmedAt = isDamaged(page) ? page.trimmedAt : next.trimmedAt
    page = { ...next, events: [...page.events, ...next.events], trimmedAt }
  }
  return page
}

/** Whether the page needs a gap. Trims are a gap only after a cursor; events that damage has lost always are. */
function hasGap(page: Page, after: string | undefined): boolean {
  return isDamaged(page) || (after !== undefined && page.trimmedAt !== undefined)
}

/** Whether events are missing that were never trimmed (`ScanResult.trimmedAt`). */
function isDamaged({ trimmedAt }: Page): boolean {
  return trimmedAt === Infinity
}

function sizeOf(events: readonly StoredEvent[]): number {
  return events.reduce((sum, event) => sum + lengthOf(event), 0)
}

function startAfter(hub: Hub, after: string | undefined): { sequence: number; reason: 'epoch' | 'future' | undefined } {
  if (after === undefined) return { sequence: 0, reason: undefined }
  const cursor = parseCursor(after)
  if (!cursor)
    throw new Problem(
      'invalid-cursor',
      `${quote(after)} is not a cursor: use an "id" or a "cursor" that the hub has sent.`,
    )
  if (cursor.epoch !== hub.epoch) return { sequence: 0, reason: 'epoch' }
  if (cursor.sequence > hub.head) return { sequence: 0, reason: 'future' }
  return { sequence: cursor.sequence, reason: undefined }
}
