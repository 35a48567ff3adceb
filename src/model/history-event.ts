/**
 * The shape of an event as in a page of history: `{ id, topic, type?, time, data | text }`. Pages, streams with
 * `format=json` and the command line have it as JSON, the application's own code as an object.
 */
import type { NewEvent, StoredEvent } from './event.js'

/** An event of the log as an object. */
export interface HistoryEvent {
  /** Its cursor. */
  id: string
  topic: string
  type?: string
  /** When it was published (RFC 3339). */
  time: string
  /** Any JSON value; there is either `data` or `text`. */
  data?: unknown
  text?: string
}

/**
 * Returns the members before the payload.
 * @param time when it was published, in milliseconds since the epoch of Unix
 */
function headOf<Id>({ topic, type }: Pick<NewEvent, 'topic' | 'type'>, time: number, id: Id) {
  const published = new Date(time).toISOString()
  return type === undefined ? { id, topic, time: published } : { id, topic, type, time: published }
}

/**
 * Prints an event as JSON, without its payload and without the brace at the end: the payload follows, as JSON.
 * @param time when it was published, in milliseconds since the epoch of Unix
 * @param id its cursor; `null` for an ephemeral event
 */
export function printHead(event: Pick<NewEvent, 'topic' | 'type' | 'kind'>, time: number, id: string | null): string {
  const head = JSON.stringify(headOf(event, time, id))
  return `${head.slice(0, -1)},${event.kind === 'text' ? '"text":' : '"data":'}`
}

/**
 * Prints an event as JSON of the shape `HistoryEvent`. Data are JSON already, and are not parsed.
 * @param id its cursor
 */
export function printEvent(event: StoredEvent, id: string): string {
  const { time, kind, payload } = event
  return `${printHead(event, time, id)}${kind === 'text' ? JSON.stringify(payload) : payload}}`
}

/**
 * Returns an event as an object, its data parsed.
 * @param id its cursor
 */
export function toHistoryEvent(event: StoredEvent, id: string): HistoryEvent {
  const { time, kind, payload } = event
  const head = headOf(event, time, id)
  return kind === 'text' ? { ...head, text: payload } : { ...head, data: JSON.parse(payload) as unknown }
}
