/** Ends all streams over a period, so that not all subscribers reconnect at once. */
import { monotonicNow } from '../model/clock.js'
import { quote } from '../model/quote.js'
import { SettingsError } from '../model/settings-error.js'
import { MAX_DRAIN } from '../model/units.js'
import type { Connections } from './connections.js'

/** The time between two groups of streams, in milliseconds. */
const STEP = 50

/**
 * Checks the duration of a drain.
 * @param time in milliseconds, at most a day
 * @throws SettingsError for any other value
 */
export function requireDrainTime(time: number): void {
  if (!Number.isFinite(time) || time < 0 || time > MAX_DRAIN)
    throw new SettingsError(`drain(time) takes 0 to ${MAX_DRAIN} milliseconds (a day), not ${quote(time)}.`)
}

/**
 * Ends all streams in small groups. Resolves when no stream is left.
 * @param time in milliseconds
 */
export async function endInGroups(connections: Connections, time: number): Promise<void> {
  const deadline = monotonicNow() + time
  for (;;) {
    const left = deadline - monotonicNow()
    connections.endFirst(Math.ceil(connections.size / Math.max(1, Math.floor(left / STEP))), 'drain')
    if (connections.size === 0) return
    await new Promise((resolve) => setTimeout(resolve, Math.min(STEP, Math.max(0, left))))
  }
}
