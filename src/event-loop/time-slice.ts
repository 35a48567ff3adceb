import { setImmediate } from 'node:timers/promises'
import { monotonicNow } from '../model/clock.js'

/**
 * How long one piece of work may hold the event loop, in milliseconds, before publishers and everybody else get a turn.
 */
const SLICE = 1.5
/** After how many small steps the clock is looked at: that costs about as much as one of them. */
const CLOCK_EVERY = 16

/** Measures a slice of work: `isOver` is to be asked after every step. */
export class TimeSlice {
  /** When the slice began, on the monotonic clock. */
  readonly now = monotonicNow()
  readonly #end = this.now + SLICE
  readonly #clockEvery: number
  #steps = 0

  /** @param clockEvery after how many steps the clock is looked at: 1 where a step is long */
  constructor(clockEvery = CLOCK_EVERY) {
    this.#clockEvery = clockEvery
  }

  get isOver(): boolean {
    return ++this.#steps % this.#clockEvery === 0 && monotonicNow() > this.#end
  }
}

/** Work that may be interrupted wherever it yields. */
export type Work<T> = Generator<unknown, T>

/** Does as much of some work as fits into a slice. Returns its last step. */
export function advance<T>(work: Work<T>): IteratorResult<unknown, T> {
  for (const slice = new TimeSlice(); ;) {
    const step = work.next()
    if (step.done || slice.isOver) return step
  }
}

/** Does some work to its end, for a process that does nothing else. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

/** Does the same with each of many things, in slices of the event loop's turns. */
export async function mapInTurns<T, U>(things: Iterable<T>, map: (thing: T) => U): Promise<U[]> {
  const mapped: U[] = []
  let slice = new TimeSlice(1)
  for (const thing of things) {
    mapped.push(map(thing))
    if (!slice.isOver) continue
    await setImmediate()
    slice = new TimeSlice(1)
  }
  return mapped
}
