/** Shares the event loop fairly: all tasks of a scheduler together get one time slice per turn of the event loop. */
import { setImmediate } from 'node:timers/promises'
import { TimeSlice } from './time-slice.js'

export class FairScheduler {
  /** The slice of this turn; `undefined` before the first step of the turn. */
  #slice: TimeSlice | undefined
  /** Resolves when this turn is over. */
  #turn: Promise<void> | undefined
  /** Waiting tasks, the longest waiting first. */
  readonly #waiting: (() => void)[] = []
  #isRunning = false

  /** Await before each step, then run the step synchronously. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (!this.#isRunning) void this.#run()
    })
  }

  /** Lets the waiting tasks run one step each, and checks the clock before each step. */
  async #run(): Promise<void> {
    this.#isRunning = true
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#slice?.isOver) await this.#turn
      this.#slice ??= this.#begin()
      this.#waiting.shift()
      next()
      // Wait two microtasks: a task that started this loop awaits its promise only after the first one.
      for (let tick = 0; tick < 2; tick++) await Promise.resolve()
    }
    this.#isRunning = false
  }

  #begin(): TimeSlice {
    this.#turn = setImmediate().then(() => void (this.#slice = undefined))
    return new TimeSlice(1)
  }
}
