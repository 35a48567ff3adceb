/** Shares the event loop among many who have a lot to do: all of them together get one slice of each of its turns. */
import { setImmediate } from 'node:timers/promises'
import { TimeSlice } from './time-slice.js'

export class FairScheduler {
  /** What is left of this turn; `undefined`: nobody has done anything in it. */
  #slice: TimeSlice | undefined
  /** Resolves when this turn is over. */
  #turn: Promise<void> | undefined
  /** The first come first. */
  readonly #waiting: (() => void)[] = []
  #isRunning = false

  /** To be awaited before each step of work, which is to follow at once: resolves when it may be taken. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (!this.#isRunning) void this.#run()
    })
  }

  /**
   * Lets one take a step, and then looks at the clock: of many who ask at the same time none has used any of it yet.
   */
  async #run(): Promise<void> {
    this.#isRunning = true
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#slice?.isOver) await this.#turn
      this.#slice ??= this.#begin()
      this.#waiting.shift()
      next()
      // two, since whoever asked last may only be about to wait
      for (let tick = 0; tick < 2; tick++) await Promise.resolve()
    }
    this.#isRunning = false
  }

  #begin(): TimeSlice {
    this.#turn = setImmediate().then(() => void (this.#slice = undefined))
    return new TimeSlice(1)
  }
}
