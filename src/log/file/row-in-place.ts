/**
 * Reads a row where it lies, without decoding it: to make a string of a payload and bytes of that string again costs
 * five times as much as to copy the bytes. Source: the MessagePack specification, "Formats".
 */
import type { ShownEvent } from '../log.js'

/** What a row begins with: an array of six. */
const ROW = 0x96
const NIL = 0xc0
const FALSE = 0xc2
const TRUE = 0xc3
const UINT_8 = 0xcc
const UINT_16 = 0xcd
const UINT_32 = 0xce
const FLOAT_64 = 0xcb
const STRING_8 = 0xd9
const STRING_16 = 0xda
const STRING_32 = 0xdb
const MAX_FIXINT = 0x7f
const FIXSTR = { min: 0xa0, max: 0xbf }

/**
 * @param row an event as `rows.ts` makes it, encoded
 * @returns what `toEvent` returns, with the payload as a part of `row`; `undefined`: it has something that is not looked for
 * here, and is to be decoded
 */
export function readInPlace(sequence: number, row: Buffer): ShownEvent | undefined {
  const fields = new Fields(row)
  const topic = fields.string()
  const time = fields.number()
  const isText = fields.boolean()
  const type = fields.stringOrNil()
  const id = fields.stringOrNil()
  const payload = fields.stringBytes()
  return fields.areKnown && fields.isOver ? { sequence, time, topic, type, id, kind: isText ? 'text' : 'json', payload } : undefined
}

/** The fields of a row, one after the other. */
class Fields {
  /** Whether each of them was what it was taken for. */
  areKnown: boolean
  readonly #row: Buffer
  #at = 1

  constructor(row: Buffer) {
    this.#row = row
    this.areKnown = row[0] === ROW
  }

  /** Whether they end where the row does. */
  get isOver(): boolean {
    return this.#at === this.#row.length
  }

  string(): string {
    return this.stringBytes().toString()
  }

  stringOrNil(): string | undefined {
    if (this.#row[this.#at] !== NIL) return this.string()
    this.#at++
    return undefined
  }

  stringBytes(): Buffer {
    const length = this.#stringLength()
    const bytes = this.#row.subarray(this.#at, this.#at + length)
    this.#at += length
    this.areKnown &&= bytes.length === length
    return bytes
  }

  boolean(): boolean {
    const format = this.#byte()
    this.areKnown &&= format === TRUE || format === FALSE
    return format === TRUE
  }

  number(): number {
    const format = this.#byte()
    if (format <= MAX_FIXINT) return format
    if (format === UINT_8) return this.#byte()
    if (format === UINT_16) return this.#row.readUInt16BE(this.#skip(2))
    if (format === UINT_32) return this.#row.readUInt32BE(this.#skip(4))
    if (format === FLOAT_64) return this.#row.readDoubleBE(this.#skip(8))
    return this.#unknown()
  }

  #stringLength(): number {
    const format = this.#byte()
    if (format >= FIXSTR.min && format <= FIXSTR.max) return format - FIXSTR.min
    if (format === STRING_8) return this.#byte()
    if (format === STRING_16) return this.#row.readUInt16BE(this.#skip(2))
    if (format === STRING_32) return this.#row.readUInt32BE(this.#skip(4))
    return this.#unknown()
  }

  #byte(): number {
    return this.#row[this.#at++] ?? this.#unknown()
  }

  /** @returns where the next so many bytes begin */
  #skip(count: number): number {
    const at = this.#at
    this.#at += count
    return at
  }

  #unknown(): number {
    this.areKnown = false
    return 0
  }
}
