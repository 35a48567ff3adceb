/** Events: what may be published, and what is checked before anything reaches a log or a wire. */
import { HubError } from './hub-error.js'
import { quote } from './quote.js'
import { requireTopic } from './topic.js'
import { fits } from './utf8.js'

/** What a publisher says of an event: exactly one of `data` (any JSON value) and `text`. */
export interface EventInput {
  data?: unknown
  text?: string | undefined
  /** 1 to 128 characters, no control characters, not starting with `fanfare.`. */
  type?: string | undefined
  /** The publisher's own id, 1 to 128 printable ASCII characters: the same id on the same topic is stored once. */
  id?: string | undefined
  /** Sent to the subscribers connected now and never stored. */
  ephemeral?: boolean | undefined
}

/** An event that has been checked and is ready for the log. */
export interface NewEvent {
  topic: string
  type: string | undefined
  /** The publisher's id. */
  id: string | undefined
  /** `json`: `payload` is compact JSON. `text`: `payload` is the text itself. */
  kind: 'json' | 'text'
  payload: string
}

/** An event that has been checked and is to be published. */
export interface CheckedEvent extends NewEvent {
  ephemeral: boolean
}

/** An event in the log. Immutable. */
export interface StoredEvent extends NewEvent {
  /** Its place in the log, from 1. */
  sequence: number
  /** When it was appended, in milliseconds since the epoch of Unix. */
  time: number
}

/** The syntax of an event's type, as the source of a regular expression: nothing in it can end a line. */
export const TYPE_SYNTAX = '^(?!fanfare\\.)[^\\u0000-\\u001f\\u007f-\\u009f]{1,128}$'
/** The syntax of a publisher's id, as the source of a regular expression. */
export const PUBLISHER_ID_SYNTAX = '^[\\x20-\\x7e]{1,128}$'

const typeSyntax = new RegExp(TYPE_SYNTAX, 'u')
const idSyntax = new RegExp(PUBLISHER_ID_SYNTAX)

/** Whether `text` can be sent as an event's type. */
export function isType(text: string): boolean {
  return typeSyntax.test(text) && text.isWellFormed()
}

/**
 * Checks an event and encodes its payload.
 * @param maxSize the most bytes that its payload may have
 * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event` or `event-too-large`, saying what is wrong
 */
export function checkEvent(topic: string, input: EventInput, maxSize: number): CheckedEvent {
  requireTopic(topic)
  const { data, text, type, id, ephemeral = false } = input
  if ((data === undefined) === (text === undefined)) {
    throw new HubError('invalid-event', 'An event has exactly one of "data" (any JSON value) and "text" (a string).')
  }
  if (type !== undefined && !isType(type)) {
    throw new HubError('invalid-event', `${quote(type)} is no event type: 1 to 128 characters, no control characters, not starting with "fanfare.".`)
  }
  if (id !== undefined && !idSyntax.test(id)) {
    throw new HubError('invalid-event', `${quote(id)} is no publisher id: 1 to 128 printable ASCII characters.`)
  }
  const payload = text ?? toJson(data)
  if (text?.isWellFormed() === false) throw new HubError('invalid-event', 'The text has a lone surrogate, which UTF-8 cannot carry.')
  if (!fits([payload], maxSize)) {
    throw new HubError('event-too-large', `The event has ${Buffer.byteLength(payload)} bytes; at most ${maxSize} are allowed.`)
  }
  return { topic, type, id, kind: text === undefined ? 'json' : 'text', payload, ephemeral }
}

function toJson(data: unknown): string {
  let json: string | undefined
  try {
    json = stringify(data)
  } catch (err) {
    throw new HubError('invalid-event', 'The data cannot be written as JSON.', { cause: err })
  }
  if (json === undefined) throw new HubError('invalid-event', 'The data cannot be written as JSON.')
  if (json.includes('null') && hasInfinity(data)) throw new HubError('invalid-event', 'The data has a number that is too large for JSON in JavaScript (RFC 8259, 6), and would become null.')
  return json
}

function hasInfinity(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInfinity)
}

/** `undefined` for what JSON has no word for, such as a function; TypeScript's own declaration does not say so. */
function stringify(data: unknown): string | undefined {
  return JSON.stringify(data)
}
