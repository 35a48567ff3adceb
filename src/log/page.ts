/** Reads the events of a log as pages of objects. */
import { lengthOf, type StoredEvent, type ScannedEvent } from '../model/event.js'
import { payloadOf } from '../model/payload.js'
import type { Selection } from '../model/selection.js'
import type { EventLog, Page, ReadOptions } from './log.js'

/**
 * Reads retained events in order. As with `EventLog.scan`, a page may be short or empty although more events follow.
 * @throws HubError `log-unavailable`
 */
export async function readPage(
  log: Pick<EventLog, 'scan'>,
  selection: Selection,
  { after, until, ...limits }: ReadOptions,
): Promise<Page> {
  const page = new PageBuilder(limits)
  const scanned = await log.scan(selection, { after, until }, (event) => page.take(event))
  return { events: page.events, ...scanned }
}

/** Collects the events of a page until it is full. */
export class PageBuilder {
  readonly events: StoredEvent[] = []
  readonly #limit: number
  readonly #bytes: number
  #size = 0

  constructor({ events, bytes = Infinity }: Pick<ReadOptions, 'events' | 'bytes'>) {
    this.#limit = events
    this.#bytes = bytes
  }

  /**
   * Takes an event.
   * @returns `false`: the page is full, and does not include the event
   */
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
