/** Finds the smallest of many values without storing or sorting all of them. */
import TinyQueue from 'tinyqueue'

export class Smallest<T> {
  readonly #count: number
  readonly #compare: (a: T, b: T) => number
  /** The kept values, the largest on top. */
  readonly #queue: TinyQueue<T>

  /** @param count how many values are kept */
  constructor(count: number, compare: (a: T, b: T) => number) {
    this.#count = count
    this.#compare = compare
    this.#queue = new TinyQueue<T>([], (a, b) => compare(b, a))
  }

  /** Whether a value would be kept. */
  takes(value: T): boolean {
    return this.#queue.length < this.#count || this.#compare(value, this.#queue.peek()!) < 0
  }

  add(value: T): void {
    if (!this.takes(value)) return
    this.#queue.push(value)
    if (this.#queue.length > this.#count) this.#queue.pop()
  }

  /** Returns the kept values, the smallest first. */
  sorted(): T[] {
    return this.#queue.data.toSorted(this.#compare)
  }
}
