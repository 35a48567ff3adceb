/** The time from the publish of an event until the sockets of all live streams have been given it. */
import { createHistogram } from 'node:perf_hooks'
import { monotonicNow } from '../model/clock.js'

/** Quantiles, in milliseconds; 0: nothing was measured. */
export interface LatencyQuantiles {
  p50: number
  p99: number
}

export class Latency {
  readonly #histogram = createHistogram()
  /** When each event was published, and the round of the sweep after which all live streams have it. */
  #waiting: { since: number; round: number }[] = []

  /**
   * Begins to measure one event.
   * @param since when it was published, on the monotonic clock
   * @param round the round of the sweep after which all live streams have it
   */
  begin(since: number, round: number): void {
    this.#waiting.push({ since, round })
  }

  /** Records every event whose round is over. */
  passed(rounds: number): void {
    const now = monotonicNow()
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.round <= rounds)
      this.#record(now - this.#waiting[count++]!.since)
    if (count > 0) this.#waiting = this.#waiting.slice(count)
  }

  /** Returns the quantiles since the last call. */
  take(): LatencyQuantiles {
    const quantiles =
      this.#histogram.count === 0
        ? { p50: 0, p99: 0 }
        : { p50: this.#histogram.percentile(50) / 1_000, p99: this.#histogram.percentile(99) / 1_000 }
    this.#histogram.reset()
    return quantiles
  }

  /** The histogram holds whole numbers from 1: microseconds. */
  #record(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1_000)))
  }
}
