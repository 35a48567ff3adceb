/**
 * The clock that measures the age of events. The wall clock records when an event was stored, but it can be wrong, and
 * can be set. This clock starts at the wall clock, advances with monotonic time, and never goes back.
 */

/** The clocks of a log, in milliseconds. */
export interface TimeSource {
  /** The wall clock, since the Unix epoch. */
  now: () => number
  /** A monotonic clock with any origin. Setting the wall clock does not change it. */
  elapsed: () => number
}

/** A change of the difference between the wall clock and this clock. */
export interface ClockStep {
  /** The change holds for events after this sequence. */
  after: number
  /** The offset that is added to the time of an event, in milliseconds. */
  offset: number
  /** When the change was noticed, on this clock. Events up to `after` are older. */
  at: number
}

/** The difference of the wall clock that counts as a step, in milliseconds. */
const TOLERANCE = 1_000
/** The maximum number of remembered steps. */
const MAX_STEPS = 1_000

export const systemTime: TimeSource = { now: Date.now, elapsed: () => performance.now() }

/** Returns the given clocks, or those of the system. A test can set both clocks with one function. */
export function timeFrom(now: (() => number) | undefined, elapsed = now): TimeSource {
  return { now: now ?? systemTime.now, elapsed: elapsed ?? systemTime.elapsed }
}

export class SteadyClock {
  /** Whether there are steps that are not stored yet. The caller resets it when it has stored them. */
  isDirty = false
  readonly #source: TimeSource
  readonly #steps: ClockStep[]
  /** The offset that is added to the monotonic clock. */
  readonly #base: number

  /**
   * @param steps the stored steps of a log that is opened again
   * @param newest the newest event of that log: the clock does not start before its time
   */
  constructor(source: TimeSource, steps: readonly ClockStep[] = [], newest?: { sequence: number; time: number }) {
    this.#source = source
    this.#steps = [...steps]
    const last = this.#steps.at(-1)
    const newestAt = newest ? this.#timeOf(newest.sequence, newest.time, Infinity) : -Infinity
    this.#base = Math.max(source.now() + (last?.offset ?? 0), last?.at ?? -Infinity, newestAt) - source.elapsed()
  }

  /** The current time. */
  get time(): number {
    return this.#base + this.#source.elapsed()
  }

  get steps(): readonly ClockStep[] {
    return this.#steps
  }

  /**
   * Returns the wall clock's time for events that are stored now, and records a step of the wall clock.
   * @param head the newest sequence before these events
   */
  stamp(head: number): number {
    const wall = this.#source.now()
    const at = this.time
    const offset = at - wall
    const last = this.#steps.at(-1)
    if (Math.abs(offset - (last?.offset ?? 0)) > TOLERANCE) {
      if (last?.after === head) this.#steps.pop()
      this.#steps.push({ after: head, offset, at })
      if (this.#steps.length > MAX_STEPS) this.#steps.shift()
      this.isDirty = true
    }
    return wall
  }

  /** Returns when an event was stored, on this clock: never later than now, nor than a newer event. */
  timeOf(sequence: number, time: number): number {
    return this.#timeOf(sequence, time, this.time)
  }

  #timeOf(sequence: number, time: number, now: number): number {
    let latest = now
    for (let index = this.#steps.length - 1; index >= 0; index--) {
      const { after, offset, at } = this.#steps[index]!
      if (sequence > after) return Math.min(time + offset, latest)
      latest = Math.min(latest, at)
    }
    return Math.min(time, latest)
  }
}
