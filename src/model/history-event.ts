/**
 * The shape of an event as in a page of history: `{ id, topic, type?, time, attributes?, data | text | bytes }`. Pages,
 * streams with `format=json` and the command line have it as JSON, the application's own code as an object.
 */
import { decodeBytes } from './base64.js'
import type { NewEvent, StoredEvent } from './event.js'
import type { PayloadKind } from './payload.js'

/** An event of the log as an object. */
export interface HistoryEvent {
  /** Its cursor. */
  id: string
  topic: string
  type?: string
  /** When it was published (RFC 3339). */
  time: string
  /** Its attributes, if it has any. */
  attributes?: Record<string, string>
  /** Any JSON value; there is exactly one of `data`, `text` and `bytes`. */
  data?: unknown
  text?: string
  /** In JSON these are base64. */
  bytes?: Uint8Array
}

/** The names of the members that payloads are in, as they stand in JSON. */
const PAYLOAD: Record<PayloadKind, string> = { json: '"data":', text: '"text":', bytes: '"bytes":' }

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
export function printHead(event: Omit<NewEvent, 'payload'>, time: number, id: string | null): string {
  const head = JSON.stringify(headOf(event, time, id))
  const attributes = event.attributes === undefined ? '' : `"attributes":${event.attributes},`
  return `${head.slice(0, -1)},${attributes}${PAYLOAD[event.kind]}`
}

/** Prints a payload as a JSON value. Data are JSON already, and base64 has no character that JSON escapes. */
export function printPayload(kind: PayloadKind, payload: string): string {
  if (kind === 'json') return payload
  return kind === 'text' ? JSON.stringify(payload) : `"${payload}"`
}

/**
 * Prints an event as JSON of the shape `HistoryEvent`. Data are JSON already, and are not parsed.
 * @param id its cursor
 */
export function printEvent(event: StoredEvent, id: string): string {
  return `${printHead(event, event.time, id)}${printPayload(event.kind, event.payload)}}`
}

/**
 * Returns an event as an object of its own, its data parsed and its bytes decoded.
 * @param id its cursor
 */
export function toHistoryEvent(event: StoredEvent, id: string): HistoryEvent {
  const { attributes, kind, payload } = event
  const made: HistoryEvent = headOf(event, event.time, id)
  if (attributes !== undefined) made.attributes = JSON.parse(attributes) as Record<string, string>
  if (kind === 'json') made.data = JSON.parse(payload) as unknown
  else if (kind === 'text') made.text = payload
  else made.bytes = decodeBytes(payload)
  return made
}
