/** A histogram as plain numbers: an observation costs a few comparisons, and a scrape reads the numbers. */

export class Histogram {
  /** The upper limits of the buckets, ascending. A bucket includes its limit. */
  readonly bounds: readonly number[]
  /** The observations of each bucket. The last number is for values above every limit. */
  readonly counts: number[]
  /** The sum of all values. */
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const { bounds } = this
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.counts[bucket]!++
    this.sum += value
  }

  /** The number of observations. */
  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }
}

/** The buckets of times that requests wait for, in seconds. */
export const TIMES: readonly number[] = [
  0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]
/** The buckets of numbers of events. */
export const COUNTS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

/** Counts by name, all 0. */
export function countsOf<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
}
