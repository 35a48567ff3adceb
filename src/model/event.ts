/** Events: what may be published, and what is checked before anything reaches a log or a wire. */
import { encodeAttributes, type Attributes } from './attributes.js'
import { decodedLength, encodeBytes } from './base64.js'
import { HubError } from './hub-error.js'
import { encodeData } from './json.js'
import { payloadBytes, type PayloadKind } from './payload.js'
import { quote } from './quote.js'
import { requireTopic } from './topic.js'
import { fits } from './utf8.js'

/** What a publisher says of an event: exactly one of `data` (any JSON value), `text` and `bytes`. */
export interface EventInput {
  data?: unknown
  text?: string | undefined
  /** Bytes, or their base64 with padding (RFC 4648, section 4). */
  bytes?: Uint8Array | string | undefined
  /** 1 to 128 characters, no control characters or noncharacters, not starting with `fanfare.`. */
  type?: string | undefined
  /**
   * The publisher's own id, 1 to 128 printable ASCII characters: the same id on the same topic is stored once. Not with
   * `ephemeral`.
   */
  id?: string | undefined
  /** Small strings beside the payload, within the limits of `ATTRIBUTES`: names of `a-z 0-9`, such as `traceparent`. */
  attributes?: Attributes | undefined
  /** Sent to the subscribers connected now and never stored. */
  ephemeral?: boolean | undefined
}

/** An event that has been checked and is ready for the log. */
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

/** An event that `checkEvent` has returned, ready to be published. Its private brand tells it from any other object. */
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

  /** Whether a value is an event that has been checked. */
  static is(value: unknown): value is CheckedEvent {
    return typeof value === 'object' && value !== null && #isChecked in value && value.#isChecked
  }
}

/** An event in the log. Immutable. */
export interface StoredEvent extends NewEvent {
  /** Its place in the log, from 1. */
  sequence: number
  /** When it was appended, in milliseconds since the epoch of Unix. */
  time: number
}

/** An event while a log is scanned. */
export interface ScannedEvent extends Omit<StoredEvent, 'payload'> {
  /**
   * A Buffer holds UTF-8 or, of the kind `bytes`, the bytes themselves. It is overwritten as soon as the next event is
   * scanned.
   */
  payload: string | Buffer
}

/** Returns how many characters an event's attributes and payload have: about what it takes in memory. */
export function lengthOf({ attributes, payload }: Pick<NewEvent, 'attributes' | 'payload'>): number {
  return attributes === undefined ? payload.length : attributes.length + payload.length
}

/**
 * The syntax of an event's type, as the source of a regular expression with the flag `u`: nothing in it can end a line,
 * and it is a String of CloudEvents 1.0 ("Type System").
 */
export const TYPE_SYNTAX = '^(?!fanfare\\.)[^\\p{Cc}\\p{Noncharacter_Code_Point}]{1,128}$'
/** The syntax of a publisher's id, as the source of a regular expression. */
export const PUBLISHER_ID_SYNTAX = '^[\\x20-\\x7e]{1,128}$'

const typeSyntax = new RegExp(TYPE_SYNTAX, 'u')
const idSyntax = new RegExp(PUBLISHER_ID_SYNTAX)

/** Whether a value can be sent as an event's type. */
export function isType(type: unknown): type is string {
  return typeof type === 'string' && typeSyntax.test(type) && type.isWellFormed()
}

/** @throws HubError `invalid-event` for what cannot be sent as an event's type */
export function requireType(type: unknown): asserts type is string {
  if (isType(type)) return
  throw new HubError(
    'invalid-event',
    `${quote(type)} is no event type: 1 to 128 characters, no control characters or noncharacters, not starting with "fanfare.".`,
  )
}

function isPublisherId(id: unknown): id is string {
  return typeof id === 'string' && idSyntax.test(id)
}

/** The members that an event may have; `topic` is that of a batch's events. */
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
 * Checks an event and encodes its payload. Nothing is taken for granted of `input`: a program without types may have
 * made it.
 * @param maxSize the most bytes that its payload may have
 * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event` or `event-too-large`, saying what is wrong
 */
export function checkEvent(topic: string, input: EventInput, maxSize: number): CheckedEvent {
  requireTopic(topic)
  const { data, text, bytes, type, id, attributes, ephemeral = false } = readInput(topic, input)
  if (Number(data !== undefined) + Number(text !== undefined) + Number(bytes !== undefined) !== 1) {
    throw new HubError(
      'invalid-event',
      'An event has exactly one of "data" (any JSON value), "text" (a string) and "bytes" (base64).',
    )
  }
  if (type !== undefined) requireType(type)
  if (id !== undefined && !isPublisherId(id)) {
    throw new HubError('invalid-event', `${quote(id)} is no publisher id: 1 to 128 printable ASCII characters.`)
  }
  if (typeof ephemeral !== 'boolean')
    throw new HubError('invalid-event', `"ephemeral" is true or false, not ${quote(ephemeral)}.`)
  if (ephemeral && id !== undefined) {
    throw new HubError(
      'invalid-event',
      'An ephemeral event has no publisher id ("id" or Idempotency-Key): it is not stored, so a second one cannot be told from the first.',
    )
  }
  const kind = text !== undefined ? 'text' : bytes !== undefined ? 'bytes' : 'json'
  const payload =
    kind === 'json' ? encodeData(data) : kind === 'text' ? requireText(text) : reading(() => encodeBytes(bytes))
  requireSize(kind, payload, maxSize)
  const encoded = attributes === undefined ? undefined : reading(() => encodeAttributes(attributes, kind))
  return new CheckedEvent({ topic, type, id, attributes: encoded, kind, payload }, ephemeral)
}

/** The most events of one batch. */
export const BATCH_MAX = 1_000

/**
 * Checks the events of a batch, each with its topic.
 * @param maxSize the most bytes that the payload of each may have
 * @throws HubError as `checkEvent`; its `index` is that of the event that was refused
 */
export function checkEvents(inputs: readonly (EventInput & { topic: string })[], maxSize: number): CheckedEvent[] {
  const length = requireArray(inputs)
  if (length > BATCH_MAX)
    throw new HubError('invalid-event', `A batch has at most ${BATCH_MAX} events, and this one ${length}.`)
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
 * Checks that these are events that have been checked.
 * @throws HubError `invalid-event`
 */
export function requireChecked(events: readonly CheckedEvent[]): void {
  requireArray(events)
  for (const event of events) {
    if (!CheckedEvent.is(event))
      throw new HubError('invalid-event', 'The event has not been checked: use publish or publishAll.')
  }
}

/** Returns the length of an array. */
function requireArray(values: readonly unknown[]): number {
  const length = reading(() => (Array.isArray(values) ? values.length : undefined))
  if (length !== undefined) return length
  throw new HubError('invalid-event', `Several events are an array, not ${quote(values)}.`)
}

function requireObject<T>(input: T): NonNullable<T> {
  if (typeof input === 'object' && input !== null) return input
  throw new HubError('invalid-event', `An event is an object with "data", "text" or "bytes", not ${quote(input)}.`)
}

/** Reads from an object of the program, whose getters and proxies may throw anything. */
function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (err) {
    throw unreadable(err)
  }
}

/** The refusal of an object of the program that has thrown an error; a HubError is one already. */
function unreadable(err: unknown): HubError {
  if (err instanceof HubError) return err
  return new HubError('invalid-event', 'The event cannot be read: one of its members throws an error.', { cause: err })
}

/** The members of an input as they are: of any type. */
type Members = Partial<Record<keyof EventInput, unknown>>

/** Reads each member once, since a getter or a proxy may answer otherwise the next time. */
function readInput(topic: string, input: EventInput): Members {
  try {
    // `reading` would make a function for each event
    requireObject(input)
    for (const name in input) {
      // Object.keys would make an array for each event
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
    throw new HubError('invalid-event', `"text" is a string, not ${quote(text)}; any other JSON value is "data".`)
  if (!text.isWellFormed())
    throw new HubError('invalid-event', 'The text has a lone surrogate, which UTF-8 cannot carry.')
  return text
}

function requireSize(kind: PayloadKind, payload: string, maxSize: number): void {
  const isSmall = kind === 'bytes' ? decodedLength(payload) <= maxSize : fits([payload], maxSize)
  if (isSmall) return
  throw new HubError(
    'event-too-large',
    `The event has ${payloadBytes({ kind, payload })} bytes; at most ${maxSize} are allowed.`,
  )
}
