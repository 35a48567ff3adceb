/** The events of one topic in memory: appended at the end, trimmed at the beginning, found by sequence. */
import type { KeptEvent } from './kept-event.js'

/** The array of a queue is cut once this many of its slots, and one in `COMPACT_PART`, have been shifted off. */
const COMPACT_AT = 64
const COMPACT_PART = 5

/**
 * A queue of events in the order of their sequences. The n-th event that is pushed has the index n, from 0, and keeps
 * it.
 */
export class EventQueue {
  #events: (KeptEvent | undefined)[] = []
  /** The slot of the oldest event in the array. Earlier slots have been shifted off and not cut yet. */
  #offset = 0
  /** The index of the oldest event. */
  #first = 0

  get length(): number {
    return this.#events.length - this.#offset
  }

  /** The index of the oldest event. */
  get first(): number {
    return this.#first
  }

  /** The index of the next event to be pushed. */
  get end(): number {
    return this.#first + this.length
  }

  get oldest(): KeptEvent | undefined {
    return this.#events[this.#offset]
  }

  get newest(): KeptEvent | undefined {
    return this.length > 0 ? this.#events.at(-1) : undefined
  }

  /** Returns the event at an index; `undefined`: it has been shifted off, or has not been pushed. */
  at(index: number): KeptEvent | undefined {
    return index < this.#first ? undefined : this.#events[this.#offset + index - this.#first]
  }

  push(event: KeptEvent): void {
    if (this.#events.length > 0) this.#events.push(event)
    // V8 would grow an empty array to 17 slots, and many topics may have only one event
    else this.#events = [event]
  }

  shift(): KeptEvent | undefined {
    const event = this.oldest
    if (!event) return undefined
    this.#events[this.#offset++] = undefined
    this.#first++
    if (this.#offset >= COMPACT_AT && this.#offset * COMPACT_PART >= this.#events.length) {
      this.#events = this.#events.slice(this.#offset)
      this.#offset = 0
    }
    return event
  }

  /** Returns the index of the first event after `sequence`; `end`: there is none. */
  indexAfter(sequence: number): number {
    let low = this.#first
    let high = this.end
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at(middle)!.sequence <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }
}
