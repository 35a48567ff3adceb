/** Stores the events of an upload in batches while more of them are read. */
import { BATCH_MAX, type CheckedEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import type { Hub } from '../hub/hub.js'
import type { StreamReceipt } from '../schemas/event.js'
import type { Publisher } from './incoming-events.js'

/**
 * How many bytes of lines may wait while other events are being stored, unless events of `WAITING_WORK` wait before.
 */
const WAITING_BYTES = 512 * 1024
/**
 * How much work of storing may wait: that of an event is 1, and as much again for each topic. A log stores all of it in
 * one turn of the event loop, and a topic costs it about as much as an event.
 */
const WAITING_WORK = 1.2 * BATCH_MAX

/**
 * Stores events in the order in which they are added: those that come while others are being stored are stored
 * together.
 */
export class Storing {
  readonly receipt: StreamReceipt = { accepted: 0, duplicates: 0, lastId: null }
  /** The line of the first event that could not be stored. */
  failedAt: number | undefined
  readonly #hub: Hub
  readonly #publisher: Publisher
  #waiting: CheckedEvent[] = []
  #bytes = 0
  readonly #topics = new Set<string>()
  /** The lines of these events. */
  #lines: number[] = []
  #running: Promise<void> | undefined

  constructor(hub: Hub, publisher: Publisher) {
    this.#hub = hub
    this.#publisher = publisher
  }

  /** Whether no more events may be added before `room` resolves. */
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

  /** Begins to store what waits; resolves when more may come. Rejects when something could not be stored. */
  async room(): Promise<void> {
    if (this.#waiting.length === 0) return
    this.#running ??= this.#run()
    this.#running.catch(() => undefined) // the next call is told
    if (this.isFull) await this.#running
  }

  /** Resolves when everything is stored. Rejects when something could not be stored. */
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
      this.#publisher() // the events have waited for those before them
      const { accepted, duplicates, lastId } = await this.#hub.publishMany(events)
      this.receipt.accepted += accepted
      this.receipt.duplicates += duplicates
      this.receipt.lastId = lastId ?? this.receipt.lastId
    } catch (err) {
      const refused = err instanceof HubError ? (err.index ?? 0) : 0
      if (refused > 0) await this.#store(events.slice(0, refused), lines) // an event was refused, and all with it
      this.failedAt = lines[refused]!
      throw err
    }
  }
}
