/** The events of one topic in memory: appended at one end, trimmed at the other, searched by sequence. */
import type { StoredEvent } from '../hub/event.js'

const COMPACT_AT = 64

/** A queue of events in the order of their sequences. */
export class EventQueue {
  #events: (StoredEvent | undefined)[] = []
  /** Index of the oldest event; what is before it has been shifted off and waits to be cut away. */
  #first = 0

  get length(): number {
    return this.#events.length - this.#first
  }

  get oldest(): StoredEvent | undefined {
    return this.#events[this.#first]
  }

  /** The event at `index`, 0 being the oldest. */
  at(index: number): StoredEvent | undefined {
    return this.#events[this.#first + index]
  }

  push(event: StoredEvent): void {
    this.#events.push(event)
  }

  shift(): StoredEvent | undefined {
    const event = this.oldest
    if (!event) return undefined
    this.#events[this.#first++] = undefined
    if (this.#first >= COMPACT_AT && this.#first * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#first)
      this.#first = 0
    }
    return event
  }

  /** The index of the first event behind `sequence`: how many are not behind it. */
  indexAfter(sequence: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at(middle)!.sequence <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }
}
