/** Where a stream begins: what a subscriber says it has read, or how much of the past it wants. */
import type { EventLog, Page } from '../log/log.js'
import { readPage } from '../log/page.js'
import { parseCursor } from '../model/cursor.js'
import type { StoredEvent } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import type { GapReason } from '../wire/sse.js'

/** What a subscriber asks for. */
export interface StartRequest {
  /** The last id that it has read, as it says; it wins over `replay` and `from`. */
  lastEventId?: string | undefined
  /** How many retained events come first; `latest`: the newest of each topic. */
  replay?: number | 'all' | 'latest' | undefined
  /** Instead of `replay`: `start`, or a time in milliseconds since the epoch of Unix from which every event comes. */
  from?: 'start' | number | undefined
}

/** A gap that the subscriber has to be told of. */
export interface KnownGap {
  reason: GapReason
  /** The cursor that the subscriber gave. */
  after: string
}

/** Where its stream begins. */
export interface Start {
  /**
   * The sequence before whatever follows. A client may resume from there, unless there is a gap that it has not been
   * told of.
   */
  sequence: number
  /** What is known to be missing. */
  gap: KnownGap | undefined
  /** A replay: the trim mark at its beginning. Events that were trimmed by then were not asked for. */
  replayedAt?: number
  /** Of what lies up to this sequence only the newest event of each topic comes. */
  latestUntil?: number
  /** Whether something of the past comes first, at the end of which the subscriber is told. */
  past: boolean
}

/** How much of a cursor that cannot be read is repeated to the client. */
const REPEATED_AT_MOST = 128

/** Finds where a stream of `selection` begins. */
export async function locate(
  log: EventLog,
  head: number,
  selection: Selection,
  { lastEventId, replay = 0, from }: StartRequest,
): Promise<Start> {
  if (lastEventId !== undefined) return resume(log.view.epoch, head, lastEventId)
  if (from === 'start') return { sequence: 0, gap: undefined, past: true }
  if (from !== undefined) {
    const { after } = await log.locate(selection, { from })
    return { sequence: Math.min(head, after), gap: undefined, past: true }
  }
  if (replay === 0) return { sequence: head, gap: undefined, past: false }
  if (replay === 'latest') {
    const { mark: replayedAt } = log.view
    const first = await firstOf(0, (after) => log.newest(selection, { after, until: head, events: 1 }))
    return { sequence: first ? first.sequence - 1 : head, gap: undefined, replayedAt, latestUntil: head, past: true }
  }
  const { after, mark: replayedAt } =
    replay === 'all' ? { after: 0, mark: log.view.mark } : await log.locate(selection, { newest: replay })
  return { sequence: await beforeFirst(log, head, selection, after), gap: undefined, replayedAt, past: true }
}

/**
 * Finds where a stream of `selection` begins that is the first of a named cursor. Behind a gap the cursor is kept
 * before the oldest event: the gap is of the client's own id, and a later stream of the cursor is not to be told of
 * another one.
 */
export async function locateFirst(
  log: EventLog,
  head: number,
  selection: Selection,
  request: StartRequest,
): Promise<Start> {
  const start = await locate(log, head, selection, request)
  return start.gap ? { ...start, sequence: await beforeFirst(log, head, selection, 0) } : start
}

/**
 * Returns the sequence before the first event of a selection behind `start`, or the head when there is none. A replay
 * begins there: what was trimmed before it was not asked for, and a client that is cut off and resumes is told of no
 * gap.
 */
async function beforeFirst(log: EventLog, head: number, selection: Selection, start: number): Promise<number> {
  const first = await firstOf(start, (after) => readPage(log, selection, { after, until: head, events: 1 }))
  return first ? first.sequence - 1 : head
}

/** Returns the first event of pages, of which some may be empty though there are more; `undefined`: there is none. */
async function firstOf(start: number, read: (after: number) => Promise<Page>): Promise<StoredEvent | undefined> {
  for (let after = start; ;) {
    const {
      events: [first],
      more,
      position,
    } = await read(after)
    if (first || !more) return first
    after = position
  }
}

function resume(epoch: string, head: number, lastEventId: string): Start {
  const cursor = parseCursor(lastEventId)
  const reason: GapReason | undefined = !cursor
    ? 'invalid'
    : cursor.epoch !== epoch
      ? 'epoch'
      : cursor.sequence > head
        ? 'future'
        : undefined
  const gap = reason && { reason, after: lastEventId.slice(0, REPEATED_AT_MOST) }
  return { sequence: cursor && !gap ? cursor.sequence : 0, gap, past: true }
}
