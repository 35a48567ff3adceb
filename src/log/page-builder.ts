/** Collects the events of a page until it is full. */
import { lengthOf, type StoredEvent, type ScannedEvent } from '../model/event.js'
import { payloadOf } from '../model/payload.js'
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

  /** `false`: it is full, and the event is not in it. */
  take(event: ScannedEvent): boolean {
    if (this.events.length >= this.#limit || this.#size >= this.#bytes) return false
    const stored = isStored(event) ? event : { ...event, payload: payloadOf(event) }
    this.events.push(stored)
    this.#size += lengthOf(stored)
    return true
  }
}

function isStored(event: ScannedEvent): event is StoredEvent {
  return typeof event.payload === 'string'
}
