/** A log-linear histogram like HdrHistogram: it has 64 buckets for each power of two, so a value is exact to 1.6 %. */

const SUB_BITS = 6
const SUB_BUCKETS = 1 << SUB_BITS
const MAX = 2 ** 31 - 1
const BUCKETS = (31 - SUB_BITS + 1) * SUB_BUCKETS

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #max = 0

  /** @param value a whole number; values outside of 0 to 2^31 - 1 count as the nearest of these two */
  add(value: number): void {
    const clamped = value < 0 ? 0 : value > MAX ? MAX : value
    this.#counts[bucketOf(clamped)]!++
    this.#total++
    if (clamped > this.#max) this.#max = clamped
  }

  get max(): number {
    return this.#max
  }

  /** Returns the least value that the given share of all values (0 to 1) do not exceed; `NaN` without values. */
  quantile(quantile: number): number {
    const wanted = Math.ceil(quantile * this.#total)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= wanted && seen > 0) return Math.min(upperEdge(bucket), this.#max)
    }
    return NaN
  }

  clear(): void {
    this.#counts.fill(0)
    this.#total = this.#max = 0
  }
}

function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return value
  const shift = 31 - SUB_BITS - Math.clz32(value)
  return (shift + 1) * SUB_BUCKETS + ((value >>> shift) & (SUB_BUCKETS - 1))
}

function upperEdge(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1
  return (SUB_BUCKETS + (bucket % SUB_BUCKETS) + 1) * 2 ** shift - 1
}
