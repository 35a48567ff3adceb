/** Counts what subscribers receive: latency, lost, reordered and repeated events. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** The largest latency that the histogram tells apart, in microseconds: an hour. */
const MAX_LATENCY = 3_600_000_000

/** What one subscriber has received of its topic, whose events are numbered from 0. */
interface Progress {
  topic: number
  /** The number after the highest one received. */
  next: number
  /** The numbers below `next` that have not been received. */
  readonly missing: Set<number>
  /** The latest time of publishing among the received events, in microseconds. */
  latest: number
}

/**
 * Returns when the server accepted an event of a topic, in microseconds; `undefined` if it has not. Publishers have
 * several connections, so only an event that was accepted before another one was sent must arrive before it.
 */
export type AcceptedAt = (topic: number, number: number) => number | undefined

export class Deliveries {
  /** In microseconds, of the measured events. */
  readonly latency: RecordableHistogram = createHistogram({ lowest: 1, highest: MAX_LATENCY, figures: 3 })
  /** The number of all deliveries, and that of measured events. */
  received = 0
  measured = 0
  reordered = 0
  repeated = 0
  readonly #subscribers: Progress[]
  /** Events with an earlier time are the warm-up: they count, and their latency does not. In microseconds. */
  #measureFrom = Infinity
  #acceptedAt: AcceptedAt = () => undefined

  constructor(subscribers: number, topics: number) {
    this.#subscribers = Array.from({ length: subscribers }, (_, index) => ({
      topic: index % topics,
      next: 0,
      missing: new Set<number>(),
      latest: -Infinity,
    }))
  }

  measureFrom(at: number): void {
    this.#measureFrom = at
  }

  /** Sets where to look for the events that the server has accepted. */
  compareWith(acceptedAt: AcceptedAt): void {
    this.#acceptedAt = acceptedAt
  }

  /** Counts a delivery. Times are in microseconds. */
  add(subscriber: number, number: number, publishedAt: number, receivedAt: number): void {
    const progress = this.#subscribers[subscriber]
    if (!progress) return
    if (number >= progress.next) {
      for (let missed = progress.next; missed < number; missed++) progress.missing.add(missed)
      progress.next = number + 1
    } else if (!progress.missing.delete(number)) {
      this.repeated++
      return
    }
    if ((this.#acceptedAt(progress.topic, number) ?? Infinity) < progress.latest) this.reordered++
    progress.latest = Math.max(progress.latest, publishedAt)
    this.received++
    if (publishedAt < this.#measureFrom) return
    this.measured++
    this.latency.record(Math.min(MAX_LATENCY, Math.max(1, receivedAt - publishedAt)))
  }

  /**
   * Returns how many deliveries of accepted events are missing.
   * @param counts how many events each topic had
   */
  lost(counts: readonly number[]): number {
    let lost = 0
    for (const { topic, next, missing } of this.#subscribers) {
      for (const number of missing) if (this.#isAccepted(topic, number)) lost++
      for (let number = next; number < (counts[topic] ?? 0); number++) if (this.#isAccepted(topic, number)) lost++
    }
    return lost
  }

  #isAccepted(topic: number, number: number): boolean {
    return this.#acceptedAt(topic, number) !== undefined
  }
}
