/** Collects the events of a page until it is full. */
import type { StoredEvent } from '../hub/event.js'
import type { ReadOptions } from './log.js'

export class PageBuilder {
  readonly events: StoredEvent[] = []
  readonly #limit: number
  readonly #bytes: number
  #size = 0

  constructor({ events, bytes = Infinity }: Pick<ReadOptions, 'events' | 'bytes'>) {
    this.#limit = events
    this.#bytes = bytes
  }

  get isFull(): boolean {
    return this.events.length >= this.#limit || this.#size >= this.#bytes
  }

  /** `false`: it is full, and the event is not in it. */
  take(event: StoredEvent): boolean {
    if (this.isFull) return false
    this.events.push(event)
    this.#size += event.payload.length
    return true
  }
}
