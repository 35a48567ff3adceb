/** The wait of a transaction for the publishers that the previous transaction has answered. */
import { setImmediate } from 'node:timers/promises'
import type { AppendQueue } from './append-queue.js'

/** The longest wait for appends, in milliseconds. */
const MAX_WAIT = 1
/** A wait shorter than this is not worth a timer, in milliseconds. */
const MIN_WAIT = 0.2
/**
 * The fewest turns of the event loop that a transaction waits: one turn with a long sweep takes more than `MAX_WAIT`.
 */
const MIN_TURNS = 2

/**
 * Waits until the publishers that were answered publish again. They then share a transaction with the publishers that
 * arrived during the flush; otherwise the two groups would alternate, each with half the transactions.
 * @param expected the number of appends to wait for
 * @param longest the time that the previous transaction took, in milliseconds; the wait is not longer
 */
export async function waitForPublishers(appends: AppendQueue, expected: number, longest: number): Promise<void> {
  const end = performance.now() + Math.min(longest, MAX_WAIT)
  let turns = 0
  do await setImmediate()
  while (expected > 1 && appends.length < expected && ++turns < MIN_TURNS)
  // not by further turns: the publishers may need this core
  const left = end - performance.now()
  if (expected > 1 && left > MIN_WAIT) await appends.reaches(expected, left)
}
