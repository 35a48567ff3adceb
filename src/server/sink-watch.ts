/** Checks the time limits of all full or ending sinks with one timer. Other sinks cost nothing here. */

/** The maximum interval between two checks, in milliseconds. It is shorter for short time limits. */
const INTERVAL = 250

/** A sink with a time limit. */
export interface Watched {
  /**
   * Checks the time limit of the sink, and acts if it is over.
   * @param now on the clock of the watch
   * @returns whether the sink still has a time limit
   */
  check(now: number): boolean
}

/**
 * The watch has a clock of its own, which stands still while the process does: a peer can make no progress that the hub
 * sees when the hub has no processor, or the machine sleeps.
 */
export class SinkWatch {
  readonly #sinks = new Set<Watched>()
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  /** The time of the last check, on the clock of the watch and on that of `performance.now()`. */
  #time = 0
  #checkedAt = performance.now()

  /** @param shortest the shortest time limit of a sink, in milliseconds */
  constructor(shortest: number) {
    this.#interval = Math.max(1, Math.min(INTERVAL, shortest / 4))
  }

  /** The clock of the watch, in milliseconds. Between two checks it advances by one interval at most. */
  get now(): number {
    return this.#time + Math.min(performance.now() - this.#checkedAt, this.#interval)
  }

  /** Checks a sink regularly until it no longer has a time limit. */
  add(sink: Watched): void {
    this.#sinks.add(sink)
    if (this.#timer) return
    this.#advance()
    this.#timer = setInterval(() => this.#check(), this.#interval).unref()
  }

  #check(): void {
    const now = this.#advance()
    for (const sink of this.#sinks) if (!sink.check(now)) this.#sinks.delete(sink)
    if (this.#sinks.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #advance(): number {
    this.#time = this.now
    this.#checkedAt = performance.now()
    return this.#time
  }
}
