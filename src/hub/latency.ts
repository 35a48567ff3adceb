/** How long it takes from publishing something until it has been handed to the sockets of all who are live. */
import { createHistogram } from 'node:perf_hooks'
import { monotonicNow } from '../model/clock.js'

/** Quantiles, in milliseconds; 0 when there was nothing to measure. */
export interface LatencyQuantiles {
  p50: number
  p99: number
}

export class Latency {
  readonly #histogram = createHistogram()
  /** When each was published, and the round of the sweep after which it has been handed over. */
  #waiting: { since: number; round: number }[] = []

  /**
   * Something is on its way.
   * @param since when it was published, on the monotonic clock
   * @param round the round of the sweep after which everybody has it
   */
  begin(since: number, round: number): void {
    this.#waiting.push({ since, round })
  }

  /** That many rounds are over. */
  passed(rounds: number): void {
    const now = monotonicNow()
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.round <= rounds)
      this.#record(now - this.#waiting[count++]!.since)
    if (count > 0) this.#waiting = this.#waiting.slice(count)
  }

  /** What was measured since the last time. */
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
