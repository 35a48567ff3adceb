/**
 * The form of an event in a page of history: `{ id, topic, type?, time, attributes?, data | text | bytes }`. Pages,
 * streams with `format=json` and the command line print it as JSON. The application's iterators return it as an object.
 */
import { visibleAttributes } from './attributes.js'
import { decodeBytes } from './base64.js'
import type { NewEvent, StoredEvent } from './event.js'
import type { PayloadKind } from './payload.js'

/** An event of the log as an object. */
export interface HistoryEvent {
  /** The cursor of the event. */
  id: string
  topic: string
  type?: string
  /** The time of publishing (RFC 3339). */
  time: string
  /** The attributes of the event, if it has any. */
  attributes?: Record<string, string>
  /** Any JSON value. An event has exactly one of `data`, `text` and `bytes`. */
  data?: unknown
  text?: string
  /** Printed as base64 in JSON. */
  bytes?: Uint8Array
}

/** The JSON name of the member that holds the payload, by kind. */
const PAYLOAD: Record<PayloadKind, string> = { json: '"data":', text: '"text":', bytes: '"bytes":' }

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
export function printHead(event: Omit<NewEvent, 'payload'>, time: number, id: string | null): string {
  const head = JSON.stringify(headOf(event, time, id))
  const visible = visibleAttributes(event.attributes)
  const attributes = visible === undefined ? '' : `"attributes":${visible},`
  return `${head.slice(0, -1)},${attributes}${PAYLOAD[event.kind]}`
}

/** Prints a payload as a JSON value. Data is JSON already, and base64 has no character that JSON escapes. */
export function printPayload(kind: PayloadKind, payload: string): string {
  if (kind === 'json') return payload
  return kind === 'text' ? JSON.stringify(payload) : `"${payload}"`
}

/**
 * Prints an event as JSON of the form `HistoryEvent`. A JSON payload is not parsed.
 * @param id the cursor of the event
 */
export function printEvent(event: StoredEvent, id: string): string {
  return `${printHead(event, event.time, id)}${printPayload(event.kind, event.payload)}}`
}

/**
 * Returns an event as an object with parsed data and decoded bytes.
 * @param id the cursor of the event
 */
export function toHistoryEvent(event: StoredEvent, id: string): HistoryEvent {
  const { kind, payload } = event
  const attributes = visibleAttributes(event.attributes)
  const made: HistoryEvent = headOf(event, event.time, id)
  if (attributes !== undefined) made.attributes = JSON.parse(attributes) as Record<string, string>
  if (kind === 'json') made.data = JSON.parse(payload) as unknown
  else if (kind === 'text') made.text = payload
  else made.bytes = decodeBytes(payload)
  return made
}
