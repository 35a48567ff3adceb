/**
 * Reads a row in place, with the payload as bytes: decoding a payload to a string and encoding it again costs five
 * times as much as copying its bytes. `rows.ts` describes the layout.
 */
import type { StoredEvent, ScannedEvent } from '../../model/event.js'
import { payloadOf, type PayloadKind } from '../../model/payload.js'
import { ATTRIBUTES_LENGTH, checksumOf, FLAGS, HEADER, sizeOfRow } from './rows.js'

/** An event whose payload is a part of a row. */
export interface EventInPlace extends ScannedEvent {
  payload: Buffer
}

/**
 * Reads an event.
 * @param row a value of the events table: a buffer whose `length` lmdb has set to the length of the row
 * @returns the event, with the payload as a part of `row`; `undefined` if the row is damaged, or belongs to another
 *   sequence
 */
export function readInPlace(sequence: number, row: Buffer): EventInPlace | undefined {
  const { length } = row
  if (length < HEADER.bytes || !Number.isSafeInteger(sequence)) return undefined
  const flags = row[HEADER.flags]!
  const hasAttributes = (flags & FLAGS.attributes) !== 0
  const start = hasAttributes ? HEADER.bytes + ATTRIBUTES_LENGTH.bytes : HEADER.bytes
  if (length < start) return undefined
  const topicEnd = start + row.readUInt16LE(HEADER.topic)
  const typeEnd = topicEnd + row.readUInt16LE(HEADER.type)
  const idEnd = typeEnd + row.readUInt16LE(HEADER.id)
  const attributesEnd = hasAttributes ? idEnd + row.readUInt16LE(ATTRIBUTES_LENGTH.offset) : idEnd
  if (attributesEnd > length) return undefined
  if (checksumOf(sequence, row, length) !== row.readUInt32LE(HEADER.checksum)) return undefined
  return {
    sequence,
    time: row.readDoubleLE(HEADER.time),
    topic: row.toString('utf8', start, topicEnd),
    type: flags & FLAGS.type ? row.toString('utf8', topicEnd, typeEnd) : undefined,
    id: flags & FLAGS.id ? row.toString('utf8', typeEnd, idEnd) : undefined,
    attributes: hasAttributes ? row.toString('utf8', idEnd, attributesEnd) : undefined,
    kind: kindOf(flags),
    payload: row.subarray(attributesEnd, length),
  }
}

function kindOf(flags: number): PayloadKind {
  if (flags & FLAGS.text) return 'text'
  return flags & FLAGS.bytes ? 'bytes' : 'json'
}

/** Returns the sequence of the previous event of the topic; 0: none. The row must have passed `readInPlace`. */
export function previousOf(row: Buffer): number {
  return row.readDoubleLE(HEADER.previous)
}

/** Copies an event out of its row. */
export function toStoredEvent(event: EventInPlace): StoredEvent {
  const { sequence, time, topic, type, id, attributes, kind } = event
  return { sequence, time, topic, type, id, attributes, kind, payload: payloadOf(event) }
}

/** Returns the space that an event takes in the file, in bytes: the `size` of `encodeRow`. */
export function sizeOfStored(row: Buffer): number {
  const idBytes = row.readUInt16LE(HEADER.id)
  return sizeOfRow(row.length, idBytes === 0 ? 0 : idBytes + row.readUInt16LE(HEADER.topic))
}
