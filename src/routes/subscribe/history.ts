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
import { readFrom } from './stream-query.js'
import { PAGE_SIZE } from '../../schemas/parameters.js'
import type { EventsQuery, History } from '../../schemas/stream.js'

/** The maximum payload and attributes of a page, in bytes. A page has at least one event, even a larger one. */
const MAX_BYTES = 1024 * 1024

/** The hub, and how far the clock of a client may be ahead, in milliseconds. */
interface Context {
  hub: Hub
  clockTolerance: number
}

/** The part of the log that a page is read from. */
interface Part {
  /** Only events after this sequence. */
  after: number
  /** Only events up to this sequence; default: the head. */
  until?: number
  count: number
  /** Whether to read on if the log returns a short page because few events match. */
  isWhole: boolean
  /** Whether trimmed events after `after` are a gap. */
  tellsTrims: boolean
  /** Why the page does not begin where it was asked to. */
  reason?: 'epoch' | 'future' | undefined
}

/**
 * Reads a page of history.
 * @returns the page as JSON of the schema `History`
 * @throws Problem `invalid-cursor`, `invalid-request`
 */
export async function readHistory(context: Context, selection: Selection, query: EventsQuery): Promise<Buffer> {
  requireOneBeginning(query)
  const { hub } = context
  await hub.streams.caughtUp(query.after ?? query.before)
  const part = await locate(context, selection, query)
  const page = await readPage(hub, selection, part)
  const reason = part.reason ?? (hasGap(page, part) ? 'expired' : undefined)
  const oldest = page.events[0]
  const events = await mapInTurns(page.events, (event) => printEvent(event, hub.cursor(event.sequence)))
  const rest = JSON.stringify({
    cursor: hub.cursor(page.position),
    more: page.more,
    gap: reason === undefined ? null : { reason, oldest: oldest ? hub.cursor(oldest.sequence) : null },
  } satisfies Omit<History, 'events'>)
  const body = Buffer.from(`{"events":[${events.join(',')}],${rest.slice(1)}`)
  hub.answered(events.length, body.length)
  return body
}

/** @throws Problem `invalid-request` if the query names several parts of the history */
function requireOneBeginning({ after, before, from, last, limit }: EventsQuery): void {
  const beginnings = [after, before, from, last].filter((value) => value !== undefined)
  if (beginnings.length > 1 || (last !== undefined && limit !== undefined))
    throw new Problem(
      'invalid-request',
      'Use only one of "last" (the newest events), "after" (the events after a cursor), "before" (the newest events before a cursor) and "from" (the events since a time). "limit" does not go with "last".',
    )
}

/** Finds the part of the log that a query asks for. */
async function locate({ hub, clockTolerance }: Context, selection: Selection, query: EventsQuery): Promise<Part> {
  const { after, before, from, last, limit } = query
  if (last !== undefined) {
    const count = readCount('last', last, PAGE_SIZE)
    return { after: await hub.before(selection, count), count, isWhole: true, tellsTrims: false }
  }
  const count = readCount('limit', limit, PAGE_SIZE)
  if (before !== undefined) {
    const { sequence, reason } = parse(hub, before)
    const until = reason === undefined ? Math.max(0, sequence - 1) : hub.head
    return { after: await hub.before(selection, count, until), until, count, isWhole: true, tellsTrims: false, reason }
  }
  if (from !== undefined) {
    const { sequence } = await hub.streams.locate(selection, { from: readFrom(from, clockTolerance) })
    return { after: sequence, count, isWhole: false, tellsTrims: true }
  }
  const { sequence, reason } = after === undefined ? { sequence: 0, reason: undefined } : parse(hub, after)
  return { after: sequence, count, isWhole: false, tellsTrims: after !== undefined, reason }
}

async function readPage(hub: Hub, selection: Selection, { after, until, count, isWhole }: Part): Promise<Page> {
  let page = await hub.read(selection, { after, until, events: count, bytes: MAX_BYTES })
  let size = sizeOf(page.events)
  while (isWhole && page.more && page.events.length < count && size < MAX_BYTES) {
    const next = await hub.read(selection, {
      after: page.position,
      until,
      events: count - page.events.length,
      bytes: MAX_BYTES - size,
    })
    size += sizeOf(next.events)
    const trimmedAt = isDamaged(page) ? page.trimmedAt : next.trimmedAt
    page = { ...next, events: [...page.events, ...next.events], trimmedAt }
  }
  return page
}

/** Whether the page needs a gap. Events that damage has lost always are a gap. */
function hasGap(page: Page, { tellsTrims }: Part): boolean {
  return isDamaged(page) || (tellsTrims && page.trimmedAt !== undefined)
}

/** Whether events are missing that were never trimmed (`ScanResult.trimmedAt`). */
function isDamaged({ trimmedAt }: Page): boolean {
  return trimmedAt === Infinity
}

function sizeOf(events: readonly StoredEvent[]): number {
  return events.reduce((sum, event) => sum + lengthOf(event), 0)
}

/**
 * Returns the sequence of a cursor. With a `reason` it is not a position in this log.
 * @throws Problem `invalid-cursor`
 */
function parse(hub: Hub, text: string): { sequence: number; reason: 'epoch' | 'future' | undefined } {
  const cursor = parseCursor(text)
  if (!cursor)
    throw new Problem(
      'invalid-cursor',
      `${quote(text)} is not a cursor: use an "id" or a "cursor" that the hub has sent.`,
    )
  if (cursor.epoch !== hub.epoch) return { sequence: 0, reason: 'epoch' }
  if (cursor.sequence > hub.head) return { sequence: 0, reason: 'future' }
  return { sequence: cursor.sequence, reason: undefined }
}
