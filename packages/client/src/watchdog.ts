/** Notices that a stream is dead: by silence, and after the machine has slept. */

/** The silence that ends a stream before a heartbeat has been seen, in milliseconds: thrice the hub's default. */
const SILENCE = 45_000
/** The time without an answer that ends an attempt, in milliseconds. */
const NO_ANSWER = 20_000
/** A stream is never ended after less silence, in milliseconds: timers of hidden tabs are late. */
const LEAST = 5_000
/** How often the silence is measured, in milliseconds. */
const INTERVAL = 2_500

export interface Watchdog {
  /** A piece of the stream has arrived. */
  seen(): void
  /** A heartbeat has arrived: the silence before it is the hub's interval. */
  beat(): void
  /** Measures the silence now. */
  check(): void
  stop(): void
}

/** What is known of the hub's heartbeats. It outlives a stream. */
export interface Rhythm {
  /** The longest silence before a heartbeat, in milliseconds; 0: no heartbeat has been seen. */
  longest: number
  /** The number of streams that ended by silence before a heartbeat. */
  misses: number
}

/**
 * Calls `onSilence` once after a silence of two and a half intervals. Silence is measured on two clocks: the monotonic
 * clock may stop while the machine sleeps, and the wall clock may be set back.
 * @param most the silence that ends a stream, in milliseconds, whatever the interval is
 */
export function startWatchdog(rhythm: Rhythm, onSilence: () => void, most?: number): Watchdog {
  let steady = 0
  let wall = 0
  let before = 0
  let hasAnswered = false
  const silence = (): number => Math.max(performance.now() - steady, Date.now() - wall)
  function limit(): number {
    if (!hasAnswered) return Math.min(NO_ANSWER, most ?? Infinity)
    if (most !== undefined) return most
    // A hub with a slower heartbeat must not be cut off for ever: each miss doubles the time.
    return rhythm.longest > 0 ? Math.max(LEAST, rhythm.longest * 2.5) : SILENCE * 2 ** rhythm.misses
  }
  function reset(): void {
    before = performance.now() - steady
    steady = performance.now()
    wall = Date.now()
  }
  function stop(): void {
    clearInterval(timer)
  }
  function check(): void {
    if (silence() <= limit()) return
    if (hasAnswered && rhythm.longest === 0) rhythm.misses++
    stop()
    onSilence()
  }
  reset()
  const timer = setInterval(check, INTERVAL)
  return {
    seen() {
      hasAnswered = true
      reset()
    },
    beat() {
      rhythm.longest = Math.max(rhythm.longest, before)
    },
    check,
    stop,
  }
}

/**
 * Calls `onWake` when the network or the page is back, until the signal is aborted.
 * @param onWake `isOnline`: the network has changed, so open connections may be dead
 */
export function listenForWake(signal: AbortSignal, onWake: (isOnline: boolean) => void): void {
  const { document } = globalThis as { document?: Document }
  if (!document) return
  addEventListener('online', () => onWake(true), { signal })
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && onWake(false), {
    signal,
  })
}
