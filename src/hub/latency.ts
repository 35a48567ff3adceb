/** The time from the publish of an event until its bytes have been handed to the sockets of all live streams. */
import { createHistogram } from 'node:perf_hooks'
import { monotonicNow } from '../model/clock.js'
import type { Histogram } from '../observe/histogram.js'

/** Quantiles, in milliseconds; 0: there were no measurements. */
export interface LatencyQuantiles {
  p50: number
  p99: number
}

/** A publish whose time is measured. */
export interface Timing {
  /** When the publish began, on the monotonic clock. */
  readonly since: number
  /** Whether the metrics count the publish. They count one of eight, even while the statistics measure each publish. */
  readonly isSampled: boolean
}

export class Latency {
  readonly #histogram = createHistogram()
  /** The sampled measurements since the start, in seconds. */
  readonly #total: Histogram | undefined
  /** The timing of each event, and the round of the sweep after which all live streams have the event. */
  #waiting: { timing: Timing; round: number }[] = []

  /** @param total is given each sampled measurement, in seconds */
  constructor(total?: Histogram) {
    this.#total = total
  }

  /**
   * Starts to measure one event.
   * @param round the round of the sweep after which all live streams have the event
   */
  begin(timing: Timing, round: number): void {
    this.#waiting.push({ timing, round })
  }

  /** Records the events whose rounds have ended. */
  passed(rounds: number): void {
    if (this.#waiting.length === 0) return
    const now = monotonicNow()
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.round <= rounds)
      this.#record(now, this.#waiting[count++]!.timing)
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
  #record(now: number, { since, isSampled }: Timing): void {
    const milliseconds = now - since
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1_000)))
    if (isSampled) this.#total?.observe(milliseconds / 1_000)
  }
}
