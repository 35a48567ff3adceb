/** Finds where a stream begins, by the last id of the subscriber or by the history that it asks for. */
import type { EventLog, Page } from '../log/log.js'
import { readPage } from '../log/page.js'
import { parseCursor } from '../model/cursor.js'
import type { StoredEvent } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import type { GapReason } from '../wire/sse.js'

/** The start that a subscriber asks for. */
export interface StartRequest {
  /** The last id that the subscriber has read. It takes precedence over `replay` and `from`. */
  lastEventId?: string | undefined
  /** The number of retained events to replay; `latest`: the newest event of each topic. */
  replay?: number | 'all' | 'latest' | undefined
  /**
   * Instead of `replay`: `start`, or a time in milliseconds since the Unix epoch, to get every event from that time on.
   */
  from?: 'start' | number | undefined
}

/** A gap that must be reported to the subscriber. */
export interface KnownGap {
  reason: GapReason
  /** The cursor of the request. */
  after: string
}

/** The start of a stream. */
export interface Start {
  /** The sequence before the first event. A subscriber may resume from it, unless a gap has not been reported yet. */
  sequence: number
  /** The gap before the first event. */
  gap: KnownGap | undefined
  /** For a replay: the trim mark at its start. Earlier trims need no gap notice. */
  replayedAt?: number
  /** Up to this sequence, the stream gets only the newest event of each topic. */
  latestUntil?: number
  /** Whether history comes before `fanfare.live`. */
  past: boolean
  /** Whether the stream has one topic, which has ended before the start: no event follows. */
  hasEnded?: boolean
}

/** The maximum length of an unreadable cursor that is repeated in an answer, in characters. */
const REPEATED_AT_MOST = 128

/** Finds the start of a stream of `selection`. */
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
 * Finds the start of the first stream of a named cursor. After a gap, the named cursor is stored before the oldest
 * event: the gap belongs to the request's own id, and later streams of the named cursor must not report it again.
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
 * Returns the sequence before the first event of a selection after `start`; the head if there is none. A replay begins
 * there, so a subscriber that is cut off and resumes gets no gap for events that it did not ask for.
 */
async function beforeFirst(log: EventLog, head: number, selection: Selection, start: number): Promise<number> {
  const first = await firstOf(start, (after) => readPage(log, selection, { after, until: head, events: 1 }))
  return first ? first.sequence - 1 : head
}

/** Returns the first event of several pages; `undefined`: there is none. A page may be empty although more follow. */
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
