/**
 * The form of an event in a page of history: `{ id, topic, type?, time, data | text }`. Pages, streams with
 * `format=json` and the command line print it as JSON. Readers in the application get it as an object.
 */
import type { NewEvent, StoredEvent } from './event.js'

/** An event of the log as an object. */
export interface HistoryEvent {
  /** The cursor of the event. */
  id: string
  topic: string
  type?: string
  /** The time of publishing (RFC 3339). */
  time: string
  /** Any JSON value. An event has either `data` or `text`. */
  data?: unknown
  text?: string
}

/**
 * Returns the members before the payload.
 * @param time the time of publishing, in milliseconds since the Unix epoch
 */
function headOf<Id>({ topic, type }: Pick<NewEvent, 'topic' | 'type'>, time: number, id: Id) {
  const published = new Date(time).toISOString()
  return type === undefined ? { id, topic, time: published } : { id, topic, type, time: published }
}

/**
 * Prints the beginning of an event as JSON. The payload as JSON and a closing brace complete it.
 * @param time the time of publishing, in milliseconds since the Unix epoch
 * @param id the cursor of the event; `null` for an ephemeral event
 */
export function printHead(event: Pick<NewEvent, 'topic' | 'type' | 'kind'>, time: number, id: string | null): string {
  const head = JSON.stringify(headOf(event, time, id))
  return `${head.slice(0, -1)},${event.kind === 'text' ? '"text":' : '"data":'}`
}

/**
 * Prints an event as JSON of the form `HistoryEvent`. A JSON payload is not parsed.
 * @param id the cursor of the event
 */
export function printEvent(event: StoredEvent, id: string): string {
  const { time, kind, payload } = event
  return `${printHead(event, time, id)}${kind === 'text' ? JSON.stringify(payload) : payload}}`
}

/**
 * Returns an event as an object with parsed data.
 * @param id the cursor of the event
 */
export function toHistoryEvent(event: StoredEvent, id: string): HistoryEvent {
  const { time, kind, payload } = event
  const head = headOf(event, time, id)
  return kind === 'text' ? { ...head, text: payload } : { ...head, data: JSON.parse(payload) as unknown }
}
