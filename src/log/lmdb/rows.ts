/**
 * Events as bytes. A row is a header, then topic, type, publisher id, attributes (as JSON) and payload as UTF-8. A
 * payload of the kind `bytes` is stored decoded. The checksum covers all bytes after it, and the sequence of the
 * event.
 *
 * | offset | bytes | field |
 * | --- | --- | --- |
 * | 0 | 4 | CRC-32, seeded with the sequence |
 * | 4 | 1 | flags: text, has a type, has a publisher id, has attributes, bytes |
 * | 5 | 8 | time |
 * | 13 | 8 | previous sequence of the topic |
 * | 21 | 2, 2, 2 | lengths of topic, type, publisher id |
 * | 27 | 2 | length of the attributes; only if the flags say that the event has attributes |
 */
import { crc32 } from 'node:zlib'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import { payloadBytes } from '../../model/payload.js'
import { allocateWriteBuffer, type WriteBuffer } from './write-buffer.js'

export const HEADER = { checksum: 0, flags: 4, time: 5, previous: 13, topic: 21, type: 23, id: 25, bytes: 27 }
/** The length of the attributes, which follows the header of a row with attributes. */
export const ATTRIBUTES_LENGTH = { offset: HEADER.bytes, bytes: 2 }
export const FLAGS = { text: 1, type: 2, id: 4, attributes: 8, bytes: 16 }

/** A multiplier that spreads the high part of a sequence over 32 bits: the golden ratio times 2^32. */
const SPREAD = 0x9e37_79b1
/** The most bytes of a topic, a type, a publisher id or attributes: the row stores the length in two bytes. */
const MAX_FIELD = 0xffff
/**
 * A shorter text, in characters, is written with the other fields, which saves a call. V8 would first copy a longer
 * text into a new string.
 */
const LONG = 1_024
/** The largest buffer that is kept for the next row, in bytes. */
const KEPT_BUFFER = 1024 * 1024

/** Sizes of LMDB's pages, in bytes. A value of more than half a page gets pages of its own. */
const PAGE = { bytes: 4_096, header: 16, entry: 8, key: 9 }
/** The largest entry that shares a page, in bytes. */
const SHARED = 2_038
/** The space that an event takes in the other tables, in bytes. */
const INDEX_ENTRY = 64
/**
 * The space that a publisher id takes in addition to the id and its topic, in bytes. Two tables store both while the id
 * outlives its event.
 */
const ID_ENTRY = 96

/** An encoded event. The next call of `encodeRow` overwrites the bytes of the row. */
export interface EncodedEvent {
  row: WriteBuffer
  /** The size of the event for retention by bytes: its share of the pages of the file. */
  size: number
}

let scratch = withView(allocateWriteBuffer(64 * 1024))

/** Adds a view that writes numbers: V8 compiles its calls to a few instructions. */
function withView(row: WriteBuffer): { row: WriteBuffer; view: DataView } {
  return { row, view: new DataView(row.buffer) }
}

/**
 * Encodes an event.
 * @param previous the sequence of the previous event of the topic; 0: none
 * @throws RangeError if its topic, type, publisher id or attributes have more than 65,535 bytes
 */
export function encodeRow(sequence: number, event: NewEvent, time: number, previous: number): EncodedEvent {
  const { topic, type = '', id = '', attributes = '', payload, kind } = event
  const text = kind === 'bytes' ? '' : payload
  const start = attributes === '' ? HEADER.bytes : HEADER.bytes + ATTRIBUTES_LENGTH.bytes
  const characters = topic.length + type.length + id.length + attributes.length + text.length
  const most = start + 3 * characters + (kind === 'bytes' ? payload.length : 0)
  let room = scratch
  if (room.row.length < most) {
    room = withView(allocateWriteBuffer(most))
    if (most <= KEPT_BUFFER) scratch = room
  }
  const { row, view } = room
  const fields = topic + type + id + attributes
  let end = start
  if (text.length < LONG) end += row.write(fields + text, end)
  else {
    end += row.write(fields, end)
    end += row.write(text, end)
  }
  const isAscii = end === start + characters
  if (kind === 'bytes') end += row.write(payload, end, 'base64')
  const topicBytes = isAscii ? topic.length : Buffer.byteLength(topic)
  const typeBytes = isAscii ? type.length : Buffer.byteLength(type)
  const idBytes = isAscii ? id.length : Buffer.byteLength(id)
  if (topicBytes > MAX_FIELD || typeBytes > MAX_FIELD || idBytes > MAX_FIELD)
    throw new RangeError(`A topic, a type or an id may have at most ${MAX_FIELD} bytes.`)
  if (attributes !== '') writeAttributesLength(view, isAscii ? attributes.length : Buffer.byteLength(attributes))
  view.setUint8(HEADER.flags, flagsOf(event))
  view.setFloat64(HEADER.time, time, true)
  view.setFloat64(HEADER.previous, previous, true)
  view.setUint16(HEADER.topic, topicBytes, true)
  view.setUint16(HEADER.type, typeBytes, true)
  view.setUint16(HEADER.id, idBytes, true)
  view.setUint32(HEADER.checksum, checksumOf(sequence, row, end), true)
  row.end = end
  return { row, size: sizeOfRow(end, idBytes === 0 ? 0 : idBytes + topicBytes) }
}

function flagsOf({ kind, type, id, attributes = '' }: NewEvent): number {
  return (
    (kind === 'text' ? FLAGS.text : kind === 'bytes' ? FLAGS.bytes : 0) |
    (type === undefined ? 0 : FLAGS.type) |
    (id === undefined ? 0 : FLAGS.id) |
    (attributes === '' ? 0 : FLAGS.attributes)
  )
}

function writeAttributesLength(view: DataView, bytes: number): void {
  if (bytes > MAX_FIELD) throw new RangeError(`Attributes may have at most ${MAX_FIELD} bytes.`)
  view.setUint16(ATTRIBUTES_LENGTH.offset, bytes, true)
}

/**
 * Returns the checksum of a row.
 * @param end the end of the row, which begins at the start of `bytes`
 */
export function checksumOf(sequence: number, bytes: Buffer, end: number): number {
  const high = Math.floor(sequence / 0x1_0000_0000)
  return crc32(bytes.subarray(HEADER.flags, end), ((sequence % 0x1_0000_0000) ^ Math.imul(high, SPREAD)) >>> 0)
}

/**
 * Returns the space that an event takes in the file, in bytes: its share of a page, or its own pages if it is large,
 * and its entries in the other tables.
 * @param bytes the length of its row
 * @param idBytes the length of its publisher id and its topic; 0 if it has no id
 */
export function sizeOfRow(bytes: number, idBytes: number): number {
  const entry = PAGE.entry + PAGE.key + bytes
  const beside = INDEX_ENTRY + (idBytes === 0 ? 0 : 2 * idBytes + ID_ENTRY)
  if (entry > SHARED) return beside + Math.ceil((PAGE.header + bytes) / PAGE.bytes) * PAGE.bytes
  return beside + Math.ceil(PAGE.bytes / Math.floor((PAGE.bytes - PAGE.header) / entry))
}

/** Returns the size of an event for retention by bytes: the `size` of `encodeRow`. */
export function sizeOf({ topic, type = '', id = '', attributes = '', kind, payload }: NewEvent): number {
  const idBytes = Buffer.byteLength(id)
  const topicBytes = Buffer.byteLength(topic)
  const attributesBytes = attributes === '' ? 0 : ATTRIBUTES_LENGTH.bytes + Buffer.byteLength(attributes)
  const fields = topicBytes + Buffer.byteLength(type) + idBytes + attributesBytes
  const bytes = HEADER.bytes + fields + payloadBytes({ kind, payload })
  return sizeOfRow(bytes, idBytes === 0 ? 0 : idBytes + topicBytes)
}

/** Returns the number of pages that an event does not share; 0: it shares its page. */
export function ownPagesOf(bytes: number, pageSize: number): number {
  return PAGE.entry + PAGE.key + bytes > pageSize / 2 - PAGE.header ? Math.ceil((PAGE.header + bytes) / pageSize) : 0
}

/** Returns the stored event of an event that was appended. */
export function toStored(sequence: number, event: NewEvent, time: number): StoredEvent {
  const { topic, type, id, attributes, kind, payload } = event
  return { sequence, time, topic, type, id, attributes, kind, payload }
}

/** Estimates the space that a publisher id takes in the file, in bytes. */
export function idSize(topic: string, id: string): number {
  return 2 * (topic.length + id.length) + ID_ENTRY
}
