/** How long a transaction waits for the publishers that the one before it has answered. */
import { setImmediate } from 'node:timers/promises'
import type { AppendQueue } from './append-queue.js'

/** The longest that a transaction waits for appends to join it, in milliseconds. */
const MAX_WAIT = 1
/**
 * In so many turns of the event loop at least they can join it: beside a sweep over many subscribers each of them is
 * longer than that.
 */
const MIN_TURNS = 2

/**
 * Waits for those who have been answered to publish again, so that they, and those who came while they were waiting,
 * go into one transaction and not forever into every second one.
 * @param expected how many appends there would be then
 * @param longest for how long, in milliseconds: at most as long as a transaction takes
 */
export async function waitForPublishers(appends: AppendQueue, expected: number, longest: number): Promise<void> {
  const end = performance.now() + Math.min(longest, MAX_WAIT)
  let turns = 0
  do await setImmediate()
  while (expected > 1 && appends.length < expected && (++turns < MIN_TURNS || performance.now() < end))
}
