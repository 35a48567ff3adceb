/** Events as newline-delimited JSON: read as they come, stored in batches, no faster than the log takes them. */
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Problem } from '../errors.js'
import { BATCH_MAX, type CheckedEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import type { Hub } from '../hub/hub.js'
import { TimeSlice } from '../event-loop/time-slice.js'
import { Waiting } from '../server/body-timeout.js'
import { withoutMark } from '../plugins/bodies.js'
import type { StreamReceipt } from '../schemas/event.js'
import { IncomingEvents, LARGE_EVENT, type Publisher } from './incoming-events.js'
import { isBlank, readLines, type Line } from './lines.js'

/**
 * How many bytes of lines may wait while other events are being stored, unless events of `WAITING_WORK` wait before.
 */
const WAITING_BYTES = 512 * 1024
/**
 * How much work of storing may wait: that of an event is 1, and as much again for each topic. A log stores all of it in
 * one turn of the event loop, and a topic costs it about as much as an event.
 */
const WAITING_WORK = 1.2 * BATCH_MAX

export interface UploadLimits {
  /** The most bytes that the payload of an event may have. */
  maxEventSize: number
  /** How long is waited for a line, in milliseconds. A blank line counts. */
  uploadIdle: number
}

/**
 * Publishes one event a line. What is stored stays stored when a later line is refused.
 * @param publisher is asked for each line, and again before events are stored
 * @throws Problem with the members `line` (from 1: the first that is not stored) and `accepted`
 */
export async function publishLines(
  hub: Hub,
  publisher: Publisher,
  body: Readable,
  { maxEventSize, uploadIdle }: UploadLimits,
): Promise<StreamReceipt> {
  const events = new IncomingEvents(hub, publisher, maxEventSize, 'line')
  const storing = new Storing(hub, publisher)
  const check = () => {
    publisher() // blank lines, or nothing at all, do not keep an upload open beyond its token
    hub.requireTime()
  }
  const waiting = new Waiting(uploadIdle, 'A line', check)
  /** The line that is read next: all lines before it are stored or about to be. */
  let line = 1

  async function take(lines: Iterable<Line>): Promise<void> {
    let slice = new TimeSlice()
    for (const sent of lines) {
      // files that were joined have marks at the start of later lines
      const text = typeof sent === 'string' ? sent : withoutMark(sent)
      if (!isBlank(text)) {
        const input = events.parse(text)
        if (text.length > LARGE_EVENT) await nextTurn()
        storing.add(events.check(input, ''), line, text.length)
      }
      line++
      if (storing.isFull) await storing.room()
      if (!slice.isOver) continue
      await nextTurn()
      slice = new TimeSlice()
    }
  }

  try {
    try {
      for await (const lines of readLines(body, events.maxLength, waiting)) {
        check()
        await take(lines)
        waiting.renew()
        await storing.room()
      }
    } finally {
      await storing.end()
    }
  } catch (err) {
    throw locate(err, storing.failedAt ?? line, storing.receipt.accepted)
  }
  return storing.receipt
}

/**
 * Stores events in the order in which they are added: those that come while others are being stored are stored
 * together.
 */
class Storing {
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

/** Says which line was refused, and how many events are stored. */
function locate(err: unknown, line: number, accepted: number): unknown {
  if (err instanceof Problem)
    return new Problem(err.code, `Line ${line}: ${err.message}`, { ...err.extensions, line, accepted })
  if (err instanceof HubError)
    return new Problem(
      err.code === 'hub-closed' ? 'draining' : err.code,
      `Line ${line}: ${err.message}`,
      { line, accepted },
      { cause: err },
    )
  return err
}
