/** Checks the time limits of all full or ending sinks with one timer. Other sinks cost nothing here. */

/** The maximum interval between two checks, in milliseconds. It is shorter for short time limits. */
const INTERVAL = 250

/** A sink with a time limit. */
export interface Watched {
  /**
   * Checks the time limit of the sink, and acts if it is over.
   * @param now on the clock of `performance.now()`
   * @returns whether the sink still has a time limit
   */
  check(now: number): boolean
}

export class SinkWatch {
  readonly #sinks = new Set<Watched>()
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined

  /** @param shortest the shortest time limit of a sink, in milliseconds */
  constructor(shortest: number) {
    this.#interval = Math.max(1, Math.min(INTERVAL, shortest / 4))
  }

  /** Checks a sink regularly until it no longer has a time limit. */
  add(sink: Watched): void {
    this.#sinks.add(sink)
    this.#timer ??= setInterval(() => this.#check(), this.#interval).unref()
  }

  #check(): void {
    const now = performance.now()
    for (const sink of this.#sinks) if (!sink.check(now)) this.#sinks.delete(sink)
    if (this.#sinks.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
