/** Stores the events of an upload in batches while more events are read. */
import { BATCH_MAX, type CheckedEvent } from '../../model/event.js'
import { HubError } from '../../model/hub-error.js'
import type { Hub } from '../../hub/hub.js'
import type { StreamReceipt } from '../../schemas/event.js'
import type { Publisher } from './incoming-events.js'

/** How many bytes of lines may wait while other events are being stored. */
const WAITING_BYTES = 512 * 1024
/**
 * How many events and topics together may wait. A log stores all waiting events in one turn of the event loop, and a
 * topic costs about as much as an event.
 */
const WAITING_WORK = 1.2 * BATCH_MAX

/** Stores events in the order of `add`. Events that are added while others are being stored form the next batch. */
export class Storing {
  readonly receipt: StreamReceipt = { accepted: 0, duplicates: 0, lastId: null }
  /** The number of the first line whose event could not be stored. */
  failedAt: number | undefined
  readonly #hub: Hub
  readonly #publisher: Publisher
  #waiting: CheckedEvent[] = []
  #bytes = 0
  readonly #topics = new Set<string>()
  /** The line numbers of the waiting events. */
  #lines: number[] = []
  #running: Promise<void> | undefined

  constructor(hub: Hub, publisher: Publisher) {
    this.#hub = hub
    this.#publisher = publisher
  }

  /** Whether the caller must await `room` before the next `add`. */
  get isFull(): boolean {
    return (
      this.failedAt !== undefined ||
      this.#waiting.length + this.#topics.size >= WAITING_WORK ||
      this.#bytes >= WAITING_BYTES
    )
  }

  add(event: CheckedEvent, line: number, bytes: number): void {
    this.#waiting.push(event)
    this.#topics.add(event.topic)
    this.#lines.push(line)
    this.#bytes += bytes
  }

  /** Starts storing the waiting events. Resolves when more may be added. Rejects if events could not be stored. */
  async room(): Promise<void> {
    if (this.#waiting.length === 0) return
    this.#running ??= this.#run()
    this.#running.catch(() => undefined) // the next call rejects with this error
    if (this.isFull) await this.#running
  }

  /** Resolves when all events are stored. Rejects if events could not be stored. */
  async end(): Promise<void> {
    await (this.#running ?? this.#run())
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#store(this.#waiting.splice(0), this.#lines.splice(0))
    this.#running = undefined
  }

  async #store(events: CheckedEvent[], lines: number[]): Promise<void> {
    this.#bytes = 0
    this.#topics.clear()
    try {
      this.#publisher() // the token may have expired while the events waited
      const { accepted, duplicates, lastId } = await this.#hub.publisher.publishMany(events)
      this.receipt.accepted += accepted
      this.receipt.duplicates += duplicates
      this.receipt.lastId = lastId ?? this.receipt.lastId
    } catch (err) {
      const refused = err instanceof HubError ? (err.index ?? 0) : 0
      // `publishMany` stores all events or none, so store those before the refused one
      if (refused > 0) await this.#store(events.slice(0, refused), lines)
      this.failedAt = lines[refused]!
      throw err
    }
  }
}
