/** Where a stream begins: what a client says it has read, or how much of the past it wants. */
import type { EventLog } from '../log/log.js'
import type { KnownGap } from './subscriber.js'
import { parseCursor } from './cursor.js'
import type { Selection } from './selection.js'
import type { GapReason } from './sse.js'

/** What a client asks for. */
export interface StartRequest {
  /** The last id that it has read, as it says; it wins over `replay`. */
  lastEventId?: string | undefined
  /** How many retained events come first. */
  replay?: number | 'all' | undefined
}

/** Where its stream begins. */
export interface Start {
  /** The sequence before whatever follows. */
  sequence: number
  /** What is known to be missing. */
  gap: KnownGap | undefined
  /** A replay: `EventLog.trims` at its beginning. What had been trimmed by then was not asked for. */
  replayedAt?: number
  /** Whether something of the past comes first, at the end of which the client is told. */
  past: boolean
}

/** How much of a cursor that cannot be read is repeated to the client. */
const REPEATED_AT_MOST = 128

/** Finds where a stream of `selection` begins. */
export async function locate(log: EventLog, head: number, selection: Selection, { lastEventId, replay = 0 }: StartRequest): Promise<Start> {
  if (lastEventId !== undefined) return resume(log.epoch, head, lastEventId)
  if (replay === 0) return { sequence: head, gap: undefined, past: false }
  const replayedAt = log.trims
  const sequence = replay === 'all' ? 0 : await log.before(selection, replay)
  return { sequence, gap: undefined, replayedAt, past: true }
}

function resume(epoch: string, head: number, lastEventId: string): Start {
  const cursor = parseCursor(lastEventId)
  const reason: GapReason | undefined = !cursor ? 'invalid' : cursor.epoch !== epoch ? 'epoch' : cursor.sequence > head ? 'future' : undefined
  const gap = reason && { reason, after: lastEventId.slice(0, REPEATED_AT_MOST) }
  return { sequence: cursor && !gap ? cursor.sequence : 0, gap, past: true }
}
