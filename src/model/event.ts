/** Events, and the checks of an event before it reaches a log or a stream. */
import { encodeAttributes, type Attributes } from './attributes.js'
import { decodedLength, encodeBytes } from './base64.js'
import { HubError } from './hub-error.js'
import { encodeData } from './json.js'
import { payloadBytes, type PayloadKind } from './payload.js'
import { quote } from './quote.js'
import { requireTopic, type EventTopic } from './topic.js'
import { withTrace, type TraceContext } from './trace-context.js'
import { fits } from './utf8.js'

/** An event as a publisher describes it, with exactly one of `data` (any JSON value), `text` and `bytes`. */
export interface EventInput {
  data?: unknown
  text?: string | undefined
  /** Bytes, or their base64 with padding (RFC 4648, section 4). */
  bytes?: Uint8Array | string | undefined
  /** 1 to 128 characters, no control characters or noncharacters, not starting with `fanfare.`. */
  type?: string | undefined
  /**
   * The publisher's own id, 1 to 128 printable ASCII characters. A topic stores an id once. Not for ephemeral events.
   */
  id?: string | undefined
  /** Small strings beside the payload, within the limits of `ATTRIBUTES`: names of `a-z 0-9`, such as `traceparent`. */
  attributes?: Attributes | undefined
  /** Whether the event is only sent to the current subscribers, and never stored. */
  ephemeral?: boolean | undefined
}

/** A checked event, ready for the log. */
export interface NewEvent {
  topic: string
  type: string | undefined
  /** The publisher's id. */
  id: string | undefined
  /** Its attributes, as compact JSON of an object of strings; `undefined`: it has none. */
  attributes?: string | undefined
  kind: PayloadKind
  payload: string
}

/** A result of `checkEvent`, ready to be published. A private brand distinguishes it from other objects. */
export class CheckedEvent implements NewEvent {
  readonly topic: string
  readonly type: string | undefined
  readonly id: string | undefined
  readonly attributes: string | undefined
  readonly kind: PayloadKind
  readonly payload: string
  readonly ephemeral: boolean
  readonly #isChecked = true

  constructor({ topic, type, id, attributes, kind, payload }: NewEvent, ephemeral: boolean) {
    this.topic = topic
    this.type = type
    this.id = id
    this.attributes = attributes
    this.kind = kind
    this.payload = payload
    this.ephemeral = ephemeral
  }

  /** Whether a value is a result of `checkEvent`. */
  static is(value: unknown): value is CheckedEvent {
    return typeof value === 'object' && value !== null && #isChecked in value && value.#isChecked
  }
}

/** An event in the log. Immutable. */
export interface StoredEvent extends NewEvent {
  /** The number of the event in the log, from 1. */
  sequence: number
  /** The time of the append, in milliseconds since the Unix epoch. */
  time: number
}

/** An event during a scan of the log. */
export interface ScannedEvent extends Omit<StoredEvent, 'payload'> {
  /** A buffer holds UTF-8 or, for the kind `bytes`, the bytes themselves. The next event of the scan overwrites it. */
  payload: string | Buffer
}

/** Returns the number of characters of an event's attributes and payload: about its size in memory. */
export function lengthOf({ attributes, payload }: Pick<NewEvent, 'attributes' | 'payload'>): number {
  return attributes === undefined ? payload.length : attributes.length + payload.length
}

/**
 * The syntax of an event's type, as the source of a regular expression with the flag `u`. No character can end a line,
 * and each type is a String of CloudEvents 1.0 ("Type System").
 */
export const TYPE_SYNTAX = '^(?!fanfare\\.)[^\\p{Cc}\\p{Noncharacter_Code_Point}]{1,128}$'
/** The syntax of a publisher's id, as the source of a regular expression. */
export const PUBLISHER_ID_SYNTAX = '^[\\x20-\\x7e]{1,128}$'

const typeSyntax = new RegExp(TYPE_SYNTAX, 'u')
const idSyntax = new RegExp(PUBLISHER_ID_SYNTAX)

/** Whether a value is a valid event type. */
export function isType(type: unknown): type is string {
  return typeof type === 'string' && typeSyntax.test(type) && type.isWellFormed()
}

/** @throws HubError `invalid-event` for an invalid event type */
export function requireType(type: unknown): asserts type is string {
  if (isType(type)) return
  throw new HubError(
    'invalid-event',
    `${quote(type)} is not a valid event type: 1 to 128 characters, no control characters or noncharacters, not starting with "fanfare.".`,
  )
}

function isPublisherId(id: unknown): id is string {
  return typeof id === 'string' && idSyntax.test(id)
}

/** The members of an event. Events of a batch have `topic`. */
const MEMBERS: ReadonlySet<string> = new Set([
  'topic',
  'data',
  'text',
  'bytes',
  'type',
  'id',
  'attributes',
  'ephemeral',
])

/**
 * Checks an event and encodes its payload. `input` may have any shape, since a program without types may create it.
 * @param maxSize the maximum size of the payload, in bytes
 * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event` or `event-too-large`, naming the fault
 */
export function checkEvent(topic: string, input: EventInput, maxSize: number, trace?: TraceContext): CheckedEvent {
  requireTopic(topic)
  return checkInput(topic, input, maxSize, trace)
}

/**
 * As `checkEvent`, for a checked topic.
 * @param trace the trace that the event belongs to
 * @throws HubError `invalid-event` or `event-too-large`
 */
export function checkInput(topic: EventTopic, input: EventInput, maxSize: number, trace?: TraceContext): CheckedEvent {
  const { data, text, bytes, type, id, attributes, ephemeral = false } = readInput(topic, input)
  if (Number(data !== undefined) + Number(text !== undefined) + Number(bytes !== undefined) !== 1) {
    throw new HubError(
      'invalid-event',
      'An event must have exactly one of "data" (any JSON value), "text" (a string) and "bytes" (base64).',
    )
  }
  if (type !== undefined) requireType(type)
  if (id !== undefined && !isPublisherId(id)) {
    throw new HubError(
      'invalid-event',
      `${quote(id)} is not a valid publisher id: 1 to 128 printable ASCII characters.`,
    )
  }
  if (typeof ephemeral !== 'boolean')
    throw new HubError('invalid-event', `"ephemeral" must be true or false, not ${quote(ephemeral)}.`)
  if (ephemeral && id !== undefined) {
    throw new HubError(
      'invalid-event',
      'An ephemeral event cannot have a publisher id ("id" or Idempotency-Key): the hub does not store it, and so cannot recognise a duplicate.',
    )
  }
  const kind = text !== undefined ? 'text' : bytes !== undefined ? 'bytes' : 'json'
  const payload = kind === 'json' ? encodeData(data) : kind === 'text' ? requireText(text) : readBytes(bytes)
  requireSize(kind, payload, maxSize)
  const own = attributes === undefined ? undefined : readAttributes(attributes, kind)
  const encoded = trace ? withTrace(own, trace) : own
  return new CheckedEvent({ topic, type, id, attributes: encoded, kind, payload }, ephemeral)
}

/** The maximum number of events in a batch. */
export const BATCH_MAX = 1_000

/**
 * Checks the events of a batch, each with its topic.
 * @param maxSize the maximum size of each payload, in bytes
 * @throws HubError as `checkEvent`; its `index` is the index of the refused event
 */
export function checkEvents(
  inputs: readonly (EventInput & { topic: string })[],
  maxSize: number,
  trace?: TraceContext,
): CheckedEvent[] {
  const length = requireArray(inputs)
  if (length > BATCH_MAX)
    throw new HubError('invalid-event', `A batch can have at most ${BATCH_MAX} events, and this batch has ${length}.`)
  const events: CheckedEvent[] = []
  for (let index = 0; index < length; index++) {
    // by index, so that a hole in the array is refused
    try {
      const input = reading(() => inputs[index])
      events.push(
        checkEvent(
          reading(() => requireObject(input).topic),
          input!,
          maxSize,
          trace,
        ),
      )
    } catch (err) {
      if (err instanceof HubError) err.index = index
      throw err
    }
  }
  return events
}

/**
 * Checks that all events are results of `checkEvent`.
 * @throws HubError `invalid-event`
 */
export function requireChecked(events: readonly CheckedEvent[]): void {
  requireArray(events)
  for (const event of events) {
    if (!CheckedEvent.is(event))
      throw new HubError('invalid-event', 'The event was not checked: use publish or publishAll.')
  }
}

/** Returns the length of an array; throws for any other value. */
function requireArray(values: readonly unknown[]): number {
  const length = reading(() => (Array.isArray(values) ? values.length : undefined))
  if (length !== undefined) return length
  throw new HubError('invalid-event', `A list of events must be an array, not ${quote(values)}.`)
}

function requireObject<T>(input: T): NonNullable<T> {
  if (typeof input === 'object' && input !== null) return input
  throw new HubError('invalid-event', `An event must be an object with "data", "text" or "bytes", not ${quote(input)}.`)
}

/** Reads from an object of the application, whose getters and proxies may throw anything. */
function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (err) {
    throw unreadable(err)
  }
}

// Separate functions: closures in `checkEvent` would allocate a context for each event.

function readBytes(bytes: unknown): string {
  return reading(() => encodeBytes(bytes))
}

function readAttributes(attributes: unknown, kind: PayloadKind): string | undefined {
  return reading(() => encodeAttributes(attributes, kind))
}

/** Returns the refusal of an object whose getter or proxy has thrown. A HubError is returned as it is. */
function unreadable(err: unknown): HubError {
  if (err instanceof HubError) return err
  return new HubError('invalid-event', 'The event cannot be read: one of its members throws an error.', { cause: err })
}

/** The members of an input before any check. */
type Members = Partial<Record<keyof EventInput, unknown>>

/** Reads each member once, since a getter or a proxy may return another value the next time. */
function readInput(topic: string, input: EventInput): Members {
  try {
    // no `reading` here: it would allocate a function for each event
    requireObject(input)
    for (const name in input) {
      // no Object.keys here: it would allocate an array for each event
      if (!MEMBERS.has(name) && Object.hasOwn(input, name))
        throw new HubError('invalid-event', `An event has no member ${quote(name)}.`)
    }
    const {
      topic: own = topic,
      data,
      text,
      bytes,
      type,
      id,
      attributes,
      ephemeral,
    } = input as Members & { topic?: unknown }
    if (own !== topic)
      throw new HubError('invalid-event', `The event names another topic than ${quote(topic)}: ${quote(own)}.`)
    return { data, text, bytes, type, id, attributes, ephemeral }
  } catch (err) {
    throw unreadable(err)
  }
}

function requireText(text: unknown): string {
  if (typeof text !== 'string')
    throw new HubError(
      'invalid-event',
      `"text" must be a string, not ${quote(text)}. Publish any other JSON value as "data".`,
    )
  if (!text.isWellFormed())
    throw new HubError('invalid-event', 'The text has a lone surrogate, which UTF-8 cannot encode.')
  return text
}

function requireSize(kind: PayloadKind, payload: string, maxSize: number): void {
  const isSmall = kind === 'bytes' ? decodedLength(payload) <= maxSize : fits([payload], maxSize)
  if (isSmall) return
  throw new HubError(
    'event-too-large',
    `The payload has ${payloadBytes({ kind, payload })} bytes; at most ${maxSize} are allowed.`,
  )
}
