import { monotonicNow } from './clock.js'

/** How long one piece of work may hold the event loop, in milliseconds, before publishers and everybody else get a turn. */
const SLICE = 1.5
/** After how many small steps the clock is looked at: that costs about as much as one of them. */
const CLOCK_EVERY = 16

/** Measures a slice of work: `isOver` is to be asked after every step. */
export class Slice {
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
