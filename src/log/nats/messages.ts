/** Events as messages of NATS. */
import { headers, type Msg, type MsgHdrs } from '@nats-io/transport-node'
import type { NewEvent, ScannedEvent, StoredEvent } from '../../model/event.js'
import { payloadOf, type PayloadKind } from '../../model/payload.js'

/** An event, ready to be sent. */
export interface EventMessage {
  subject: string
  headers: MsgHdrs
  payload: string | Buffer
}

/** The event of a message without its payload. */
export interface EventHead {
  topic: string
  type: string | undefined
  id: string | undefined
  attributes: string | undefined
  kind: PayloadKind
  /** The id of the atomic batch that the event is part of; `undefined`: the event was stored alone. */
  batch: string | undefined
  /** Whether the event is the last one of its batch. */
  isLast: boolean
  /** The size of the payload if the message lacks it. */
  payloadSize: number | undefined
  /** The bytes of the headers in the stream. */
  headerBytes: number
}

const KIND = 'Fanfare-Kind'
const TYPE = 'Fanfare-Type'
const ATTRIBUTES = 'Fanfare-Attributes'
const MESSAGE_ID = 'Nats-Msg-Id'
const LAST_ID = 'Nats-Expected-Last-Msg-Id'
const MESSAGE_SIZE = 'Nats-Msg-Size'
const LAST_SEQUENCE = 'Nats-Expected-Last-Subject-Sequence'
const LAST_SUBJECT = 'Nats-Expected-Last-Subject-Sequence-Subject'
const BATCH = 'Nats-Batch-Id'
const BATCH_SEQUENCE = 'Nats-Batch-Sequence'
const BATCH_COMMIT = 'Nats-Batch-Commit'

/** The bytes that JetStream stores with a message. */
const STORED = 34
/** The bytes of the first line and the last one of headers. */
const HEADER_LINES = 'NATS/1.0\r\n\r\n'.length
/** The bytes of a header besides its name and value. */
const SEPARATORS = ': \r\n'.length

/** The subjects of the topics. Every topic is a valid subject, since it has no space, `*` or `>`. */
export class Subjects {
  /** The subject of all topics. */
  readonly all: string
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = `${prefix}.t.`
    this.all = `${this.#prefix}>`
  }

  of(topic: string): string {
    return this.#prefix + topic
  }

  /**
   * Returns a subject of a finite topic, which has several: JetStream keeps a limited number of messages of each
   * subject. No topic begins with `$f`.
   * @param part the number of the subject; default: the pattern of all
   */
  ofFinite(topic: string, part: number | '*' = '*'): string {
    return `${this.#prefix}$f.${part}.${topic}`
  }

  topicOf(subject: string): string {
    const topic = subject.slice(this.#prefix.length)
    return topic.startsWith('$f.') ? topic.slice(topic.indexOf('.', '$f.'.length) + 1) : topic
  }
}

/** Returns an event as a message. */
export function toMessage(subjects: Subjects, { topic, type, id, attributes, kind, payload }: NewEvent): EventMessage {
  const fields = headers()
  fields.set(KIND, kind)
  if (type !== undefined) fields.set(TYPE, encodeURIComponent(type))
  if (attributes !== undefined) fields.set(ATTRIBUTES, attributes)
  if (id !== undefined) fields.set(MESSAGE_ID, messageId(topic, id))
  return {
    subject: subjects.of(topic),
    headers: fields,
    payload: kind === 'bytes' ? Buffer.from(payload, 'base64') : payload,
  }
}

/**
 * Returns a message that asks JetStream for a publisher id, and is never stored. JetStream answers a known id as a
 * duplicate, and refuses an unknown one.
 */
export function toQuestion(subjects: Subjects, topic: string, id: string): EventMessage {
  const fields = headers()
  fields.set(MESSAGE_ID, messageId(topic, id))
  fields.set(LAST_ID, 'none') // never equals a message id, since that has a space
  return { subject: subjects.of(topic), headers: fields, payload: '' }
}

/** Returns the size of a message, in bytes, as the limit of the server counts it. */
export function sizeOf({ headers: fields, payload }: EventMessage): number {
  let size = HEADER_LINES + Buffer.byteLength(payload)
  for (const [name, [value = '']] of fields) size += name.length + Buffer.byteLength(value) + SEPARATORS
  return size
}

/** Makes JetStream refuse a message unless the newest message of a subject or pattern has a sequence. */
export function expectLast({ headers }: EventMessage, subject: string, sequence: number): void {
  headers.set(LAST_SEQUENCE, String(sequence))
  headers.set(LAST_SUBJECT, subject)
}

/** Makes a message a part of an atomic batch. */
export function addToBatch({ headers }: EventMessage, batch: string, number: number, isLast: boolean): void {
  headers.set(BATCH, batch)
  headers.set(BATCH_SEQUENCE, String(number))
  if (isLast) headers.set(BATCH_COMMIT, '1')
}

/**
 * Returns the message id of a publisher id. It includes the topic, since JetStream compares the message ids of all
 * topics.
 */
export function messageId(topic: string, id: string): string {
  return `${topic} ${encodeURIComponent(id)}`
}

/** Reads the headers of a message; `undefined`: the message is no event. */
export function readHead(subjects: Subjects, subject: string, fields: MsgHdrs | undefined): EventHead | undefined {
  const head: EventHead = {
    topic: subjects.topicOf(subject),
    type: undefined,
    id: undefined,
    attributes: undefined,
    kind: 'text',
    batch: undefined,
    isLast: false,
    payloadSize: undefined,
    headerBytes: HEADER_LINES,
  }
  let isEvent = false
  for (const [name, [value = '']] of fields ?? []) {
    if (name === MESSAGE_SIZE) {
      head.payloadSize = Number(value) // the message as it is stored has no such header
      continue
    }
    head.headerBytes += name.length + Buffer.byteLength(value) + SEPARATORS
    if (name === KIND) {
      head.kind = value as PayloadKind
      isEvent = true
    } else if (name === TYPE) head.type = decodeURIComponent(value)
    else if (name === ATTRIBUTES) head.attributes = value
    else if (name === MESSAGE_ID) head.id = decodeURIComponent(value.slice(head.topic.length + 1))
    else if (name === BATCH) head.batch = value
    else if (name === BATCH_COMMIT) head.isLast = true
  }
  return isEvent ? head : undefined
}

/** Returns the stored event of a message. */
export function toStored(head: EventHead, sequence: number, time: number, data: Uint8Array): StoredEvent {
  const { topic, type, id, attributes, kind } = head
  return { sequence, time, topic, type, id, attributes, kind, payload: payloadOf({ kind, payload: asBuffer(data) }) }
}

/** Returns the event of a message that was read from the stream. */
export function toScanned(head: EventHead, sequence: number, time: number, data: Uint8Array): ScannedEvent {
  const { topic, type, id, attributes, kind } = head
  return { sequence, time, topic, type, id, attributes, kind, payload: asBuffer(data) }
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

/** Returns the bytes that a message takes in the stream. */
export function storedSize({ subject, data }: Pick<Msg, 'subject' | 'data'>, head: EventHead): number {
  return STORED + subject.length + head.headerBytes + (head.payloadSize ?? data.byteLength)
}
