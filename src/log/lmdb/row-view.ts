/**
 * Reads a row where it lies, without making a string of its payload: to make bytes of that string again costs five
 * times as much as to copy them. The layout is described in `rows.ts`.
 */
import type { StoredEvent, ScannedEvent } from '../../model/event.js'
import { payloadOf, type PayloadKind } from '../../model/payload.js'
import { ATTRIBUTES_LENGTH, checksumOf, FLAGS, HEADER, sizeOfRow } from './rows.js'

/** An event where it lies in the file. */
export interface EventInPlace extends ScannedEvent {
  payload: Buffer
}

/**
 * Reads an event.
 * @param row a value of the events table. lmdb gives it as a longer buffer with a length of its own
 * @returns the event, with the payload as a part of `row`; `undefined`: the row is damaged, or is not that of this
 * sequence
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

/** The sequence of the event before it of the same topic; 0: none. Only for a row that `readInPlace` has read. */
export function previousOf(row: Buffer): number {
  return row.readDoubleLE(HEADER.previous)
}

/** The event with a payload of its own. */
export function toStoredEvent(event: EventInPlace): StoredEvent {
  const { sequence, time, topic, type, id, attributes, kind } = event
  return { sequence, time, topic, type, id, attributes, kind, payload: payloadOf(event) }
}

/** What an event takes in the file, in bytes; as `encodeRow` says when it is written. */
export function sizeOfStored(row: Buffer): number {
  const idBytes = row.readUInt16LE(HEADER.id)
  return sizeOfRow(row.length, idBytes === 0 ? 0 : idBytes + row.readUInt16LE(HEADER.topic))
}
