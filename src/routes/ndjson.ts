/** Events as newline-delimited JSON: read as they come, stored in batches, no faster than the log takes them. */
import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { authorize } from '../auth/principal.js'
import { Problem } from '../errors.js'
import { Waiting } from '../patience.js'
import { Compile } from '../typebox.js'
import { describeErrors, summarize } from '../validation.js'
import type { CheckedEvent } from '../hub/event.js'
import { HubError } from '../hub/hub-error.js'
import type { Hub } from '../hub/hub.js'
import type { Principal } from '../hub/principal.js'
import { BatchEvent, type StreamReceipt } from '../schemas/event.js'
import { dropRest, isBlank, readLines } from './lines.js'

const eventShape = Compile(BatchEvent)

/** What a line may have beside its payload: topic, type, id and JSON's own characters, escapes included. */
const LINE_OVERHEAD = 4 * 1024
/** How much may wait while other events are being stored; the first of the two that is reached counts. */
const WAITING_EVENTS = 1_000
const WAITING_BYTES = 512 * 1024

/**
 * Publishes one event a line. What is stored stays stored when a later line is refused.
 * @param maxEventSize the most bytes that the payload of an event may have
 * @param patience how long is waited for an event, in milliseconds: a pipe may live on, but not on blank lines
 * @throws Problem with the members `line` (from 1) and `accepted`
 */
export async function publishLines(hub: Hub, principal: Principal, body: Readable, maxEventSize: number, patience: number): Promise<StreamReceipt> {
  const granted = new Set<string>()
  const storing = new Storing(hub)
  const waiting = new Waiting(patience, 'An event')
  let line = 0

  function check(bytes: Buffer): CheckedEvent {
    if (bytes.length > maxEventSize + LINE_OVERHEAD) throw new Problem('event-too-large', `The line is longer than an event of ${maxEventSize} bytes can be.`)
    if (!isUtf8(bytes)) throw new Problem('invalid-encoding', 'The line is not UTF-8.')
    const input = parseLine(bytes.toString())
    const event = hub.check(input.topic, input)
    if (!granted.has(event.topic)) {
      authorize(principal, 'publish', [event.topic])
      granted.add(event.topic)
    }
    return event
  }

  try {
    try {
      for await (const lines of readLines(body, maxEventSize + LINE_OVERHEAD, waiting)) {
        for (const bytes of lines) {
          line++
          if (isBlank(bytes)) continue
          storing.add(check(bytes), line, bytes.length)
          waiting.renew()
        }
        await storing.room()
      }
    } finally {
      await storing.end()
    }
  } catch (err) {
    dropRest(body)
    throw locate(err, storing.failedAt ?? line, storing.receipt.accepted)
  }
  return storing.receipt
}

/** Stores events in the order in which they are added: those that come while others are being stored are stored together. */
class Storing {
  readonly receipt: StreamReceipt = { accepted: 0, duplicates: 0, lastId: null }
  /** The line of the first event that could not be stored. */
  failedAt: number | undefined
  readonly #hub: Hub
  #waiting: CheckedEvent[] = []
  #bytes = 0
  /** The lines of these events. */
  #lines: number[] = []
  #running: Promise<void> | undefined

  constructor(hub: Hub) {
    this.#hub = hub
  }

  add(event: CheckedEvent, line: number, bytes: number): void {
    this.#waiting.push(event)
    this.#lines.push(line)
    this.#bytes += bytes
  }

  /** Begins to store what waits; resolves when more may come. Rejects when something could not be stored. */
  async room(): Promise<void> {
    if (this.#waiting.length === 0) return
    this.#running ??= this.#run()
    this.#running.catch(() => undefined) // who waits for it next is told
    if (this.failedAt !== undefined || this.#waiting.length >= WAITING_EVENTS || this.#bytes >= WAITING_BYTES) await this.#running
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
    try {
      for (const { id, duplicate } of await this.#hub.publishChecked(events)) {
        this.receipt.accepted++
        if (duplicate) this.receipt.duplicates++
        this.receipt.lastId = id ?? this.receipt.lastId
      }
    } catch (err) {
      const refused = err instanceof HubError ? (err.index ?? 0) : 0
      if (refused > 0) await this.#store(events.slice(0, refused), lines) // an event was refused, and all with it
      this.failedAt = lines[refused]!
      throw err
    }
  }
}

function parseLine(text: string): BatchEvent {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    throw new Problem('invalid-json', `The line is not JSON: ${err instanceof Error ? err.message : String(err)}`)
  }
  if (eventShape.Check(value)) return value
  const errors = describeErrors(eventShape.Errors(value))
  throw new Problem('invalid-line', `The line is no event: ${summarize(errors)}`, { errors })
}

/** Says which line was refused, and how many events are stored. */
function locate(err: unknown, line: number, accepted: number): unknown {
  if (err instanceof Problem) return new Problem(err.code, `Line ${line}: ${err.message}`, { ...err.extensions, line, accepted })
  if (err instanceof HubError) return new Problem(err.code === 'hub-closed' ? 'draining' : err.code, `Line ${line}: ${err.message}`, { line, accepted }, { cause: err })
  return err
}
