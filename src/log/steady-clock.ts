/**
 * The clock by which events grow old. The wall clock says when an event was stored; it can be wrong, and be set. This
 * clock starts where the wall clock is, goes on by the time that has passed, and never goes back.
 */

/** Where a log takes its times from, in milliseconds. */
export interface TimeSource {
  /** The wall clock, since the epoch of Unix. */
  now: () => number
  /** Time that passes, from anywhere: not touched by whoever sets the clock. */
  elapsed: () => number
}

/** From some sequence on, the wall clock differed from this one by something else than before. */
export interface ClockStep {
  /** It holds for events behind this sequence. */
  after: number
  /** What is added to the time of an event, in milliseconds. */
  offset: number
  /** When it was noticed, by this clock: what was stored before is older. */
  at: number
}

/** By so much the wall clock may differ until that counts as a step, in milliseconds. */
const TOLERANCE = 1_000
/** How many steps are remembered. */
const MAX_STEPS = 1_000

export const systemTime: TimeSource = { now: Date.now, elapsed: () => performance.now() }

/** A clock for tests, which goes by one function alone. */
export function timeFrom(now: (() => number) | undefined, elapsed = now): TimeSource {
  return { now: now ?? systemTime.now, elapsed: elapsed ?? systemTime.elapsed }
}

export class SteadyClock {
  /** Whether there are steps that are not stored yet; to be reset by who stores them. */
  isDirty = false
  readonly #source: TimeSource
  readonly #steps: ClockStep[]
  /** What is added to the time that has passed. */
  readonly #base: number

  /**
   * @param steps those of a log that is opened again
   * @param newest the newest event of that log: this clock does not go back behind it
   */
  constructor(source: TimeSource, steps: readonly ClockStep[] = [], newest?: { sequence: number; time: number }) {
    this.#source = source
    this.#steps = [...steps]
    const last = this.#steps.at(-1)
    const newestAt = newest ? this.#timeOf(newest.sequence, newest.time, Infinity) : -Infinity
    this.#base = Math.max(source.now() + (last?.offset ?? 0), last?.at ?? -Infinity, newestAt) - source.elapsed()
  }

  /** The time now. */
  get time(): number {
    return this.#base + this.#source.elapsed()
  }

  get steps(): readonly ClockStep[] {
    return this.#steps
  }

  /**
   * Says what the wall clock shows, for events that are stored now.
   * @param head the newest sequence before them
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

  /** When an event was stored, by this clock: never later than now, nor than a newer event. */
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
