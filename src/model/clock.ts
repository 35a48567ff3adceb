/**
 * The two clocks of the hub; the linter forbids others. The wall clock may be set back or forward at any time (NTP, a
 * restored VM, an administrator), so it must not measure durations.
 */

/**
 * Returns a time of the monotonic clock, in milliseconds since an arbitrary moment: for durations, deadlines and ages.
 * It never goes back and ignores every change of the wall clock. It may stop while the machine sleeps.
 */
export function monotonicNow(): number {
  return performance.now()
}

/**
 * Returns a time of the wall clock, in milliseconds since the Unix epoch: for timestamps, and for comparison with times
 * from other machines (the `exp` of a token).
 */
export function wallNow(): number {
  return Date.now()
}
