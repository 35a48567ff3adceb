/** One timer for all sinks that are full or ending. A sink that has room costs nothing here. */

/** How often the sinks are looked at, in milliseconds, unless their time limits are shorter. */
const INTERVAL = 250

/** A sink that has a time limit at the moment. */
export interface Watched {
  /**
   * Acts when the sink's time is over.
   * @param now on the clock of `performance.now()`
   * @returns whether the sink still has a time limit
   */
  look(now: number): boolean
}

export class SinkWatch {
  readonly #sinks = new Set<Watched>()
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined

  /** @param shortest the shortest time limit of a sink, in milliseconds */
  constructor(shortest: number) {
    this.#interval = Math.max(1, Math.min(INTERVAL, shortest / 4))
  }

  /** Looks at a sink until it says that it has no time limit any more. */
  add(sink: Watched): void {
    this.#sinks.add(sink)
    this.#timer ??= setInterval(() => this.#look(), this.#interval).unref()
  }

  #look(): void {
    const now = performance.now()
    for (const sink of this.#sinks) if (!sink.look(now)) this.#sinks.delete(sink)
    if (this.#sinks.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
