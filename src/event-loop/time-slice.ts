/** Splits long work into slices, so that it does not block the event loop. */
import { setImmediate } from 'node:timers/promises'
import { monotonicNow } from '../model/clock.js'

/** How long a slice may block the event loop, in milliseconds. */
const SLICE = 1.5
/** The number of small steps between two readings of the clock. A reading costs about as much as a small step. */
const CLOCK_EVERY = 16

/** Measures a slice of work. Read `isOver` after every step. */
export class TimeSlice {
  /** When the slice began, on the monotonic clock. */
  readonly now = monotonicNow()
  readonly #end = this.now + SLICE
  readonly #clockEvery: number
  #steps = 0

  /** @param clockEvery the number of steps between two readings of the clock; 1 for long steps */
  constructor(clockEvery = CLOCK_EVERY) {
    this.#clockEvery = clockEvery
  }

  get isOver(): boolean {
    return ++this.#steps % this.#clockEvery === 0 && monotonicNow() > this.#end
  }
}

/** Work that can pause at each `yield`. */
export type Work<T> = Generator<unknown, T>

/** Runs as many steps of some work as fit into a slice. Returns the result of the last step. */
export function advance<T>(work: Work<T>): IteratorResult<unknown, T> {
  for (const slice = new TimeSlice(); ;) {
    const step = work.next()
    if (step.done || slice.isOver) return step
  }
}

/** Runs some work to its end without pausing, for a process that does nothing else. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

/** Maps many items in slices, with a turn of the event loop between two slices. */
export async function mapInTurns<T, U>(items: Iterable<T>, map: (item: T) => U): Promise<U[]> {
  const mapped: U[] = []
  let slice = new TimeSlice(1)
  for (const item of items) {
    mapped.push(map(item))
    if (!slice.isOver) continue
    await setImmediate()
    slice = new TimeSlice(1)
  }
  return mapped
}
