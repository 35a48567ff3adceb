/**
 * The two clocks. The wall clock may be set back or forward at any time (NTP, a restored VM, an administrator), so it
 * never measures how much time has passed. Lint allows the hub no other clock.
 */

/**
 * Returns a time of the monotonic clock, in milliseconds since an arbitrary moment: for durations, deadlines and ages.
 * It never goes back and ignores every change of the wall clock. It may stop while the machine sleeps.
 */
export function monotonicNow(): number {
  return performance.now()
}

/**
 * Returns a time of the wall clock, in milliseconds since the epoch of Unix: for timestamps that others read, and to
 * compare with times that others name (the `exp` of a token).
 */
export function wallNow(): number {
  return Date.now()
}
