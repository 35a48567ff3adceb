/** A source of pseudo-random values. The same seed gives the same values. */
export class Random {
  /** The part of their maximum length that lists may have, from 0 to 1. */
  size = 1
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** Returns a whole number from 0 up to, but not including, `limit`: `mulberry32` (Tommy Ettinger, public domain). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    const state = this.#state
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }

  /** Returns a whole number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  /** Returns `true` once in a number of times. */
  once(times: number): boolean {
    return this.below(times) === 0
  }

  /** Returns a list of `min` to `max` values. */
  list<T>(min: number, max: number, make: (random: Random) => T): T[] {
    const length = this.between(min, min + Math.ceil((max - min) * this.size))
    return Array.from({ length }, () => make(this))
  }

  /** Returns a text of up to `max` characters. */
  text(max: number, character: (random: Random) => string): string {
    return this.list(0, max, character).join('')
  }
}
