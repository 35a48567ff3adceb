/** Shares the event loop among many who have a lot to do: all of them together get one slice of each of its turns. */
import { setImmediate } from 'node:timers/promises'
import { Slice } from './slice.js'

export class Turns {
  /** What is left of this turn; `undefined`: nobody has done anything in it. */
  #slice: Slice | undefined
  /** The first come first. */
  readonly #waiting: (() => void)[] = []

  /** To be awaited before each step of work: resolves when the step may be taken. */
  next(): Promise<void> | undefined {
    if (!this.#slice) {
      this.#slice = new Slice(1)
      void this.#run()
      return undefined
    }
    if (this.#waiting.length === 0 && !this.#slice.isOver) return undefined
    return new Promise((resolve) => void this.#waiting.push(resolve))
  }

  async #run(): Promise<void> {
    for (;;) {
      await setImmediate()
      if (this.#waiting.length === 0) break
      this.#slice = new Slice(1)
      do {
        this.#waiting.shift()!()
        await Promise.resolve() // now it takes its step, or the first part of it
      } while (this.#waiting.length > 0 && !this.#slice.isOver)
    }
    this.#slice = undefined
  }
}
