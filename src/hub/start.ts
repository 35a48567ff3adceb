/** Where a stream begins: what a client says it has read, or how much of the past it wants. */
import type { EventLog } from '../log/log.js'
import type { KnownGap } from './catch-up.js'
import { parseCursor } from './cursor.js'
import type { Selection } from './selection.js'

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
  /** What is known to be missing, or that it is not missed. */
  gap: KnownGap | undefined
  /** Whether something of the past comes first, at the end of which the client is told. */
  past: boolean
}

/** How much of a cursor that cannot be read is repeated to the client. */
const REPEATED_AT_MOST = 128

/** Finds where a stream of `selection` begins. */
export async function locate(log: EventLog, head: number, selection: Selection, { lastEventId, replay = 0 }: StartRequest): Promise<Start> {
  if (lastEventId !== undefined) return resume(log.epoch, head, lastEventId)
  if (replay === 0) return { sequence: head, gap: undefined, past: false }
  const sequence = replay === 'all' ? 0 : await log.before(selection, replay)
  return { sequence, gap: { reason: undefined, after: '' }, past: true }
}

function resume(epoch: string, head: number, lastEventId: string): Start {
  const after = lastEventId.slice(0, REPEATED_AT_MOST)
  const cursor = parseCursor(lastEventId)
  if (!cursor) return { sequence: 0, gap: { reason: 'invalid', after }, past: true }
  if (cursor.epoch !== epoch) return { sequence: 0, gap: { reason: 'epoch', after }, past: true }
  if (cursor.sequence > head) return { sequence: 0, gap: { reason: 'future', after }, past: true }
  return { sequence: cursor.sequence, gap: undefined, past: true }
}
