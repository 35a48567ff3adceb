/**
 * Waits until this process has taken events from the log that another process has already sent: a client may have read
 * them there.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog } from '../../log/log.js'
import { monotonicNow } from '../../model/clock.js'
import { parseCursor } from '../../model/cursor.js'
import type { Messenger } from './messenger.js'

/** The longest wait for a log without `catchUp`, in milliseconds. A cursor that is still ahead then is a gap. */
const LONGEST = 1_000
const INTERVAL = 5

export interface LogWaitSource {
  messenger: Messenger
  log: EventLog
  /** Returns the newest sequence that this process has taken from the log. */
  head: () => number
}

/**
 * Waits for a cursor that is ahead of this process.
 * @returns `undefined`: there is nothing to wait for. The promise throws HubError `log-unavailable` if the log does not
 *   say whether it has the cursor: it is then no gap
 */
export function waitFor({ messenger, log, head }: LogWaitSource, id: string | undefined): Promise<void> | undefined {
  if (id === undefined) return undefined
  const cursor = parseCursor(id)
  if (cursor?.epoch !== log.view.epoch || cursor.sequence <= head()) return undefined
  if (log.catchUp) return log.catchUp()
  return messenger.isAlone ? undefined : until(() => head() >= cursor.sequence)
}

async function until(isReached: () => boolean): Promise<void> {
  for (const end = monotonicNow() + LONGEST; !isReached() && monotonicNow() < end;) await delay(INTERVAL)
}
