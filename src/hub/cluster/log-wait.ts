/**
 * Waits until this process has taken events from the log that another process has already sent: a client may have read
 * them there.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicNow } from '../../model/clock.js'
import { parseCursor } from '../../model/cursor.js'
import type { Messenger } from './messenger.js'

/** The longest wait, in milliseconds. A cursor that is still ahead then counts as beyond the end of the log. */
const LONGEST = 1_000
const INTERVAL = 5

export interface LogWaitSource {
  messenger: Messenger
  epoch: string
  /** Returns the newest sequence that this process has taken from the log. */
  head: () => number
}

/**
 * Waits for a cursor that is ahead of this process.
 * @returns `undefined`: there is nothing to wait for
 */
export function waitFor({ messenger, epoch, head }: LogWaitSource, id: string | undefined): Promise<void> | undefined {
  if (id === undefined || messenger.isAlone) return undefined
  const cursor = parseCursor(id)
  if (cursor?.epoch !== epoch || cursor.sequence <= head()) return undefined
  return until(() => head() >= cursor.sequence)
}

async function until(isReached: () => boolean): Promise<void> {
  for (const end = monotonicNow() + LONGEST; !isReached() && monotonicNow() < end;) await delay(INTERVAL)
}
