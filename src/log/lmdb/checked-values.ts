/**
 * Values with a checksum, for all tables except the events. A stored value is a CRC-32 followed by JSON. LMDB has no
 * checksums, so a damaged byte would otherwise be read as a different value.
 */
import { crc32 } from 'node:zlib'
import { StoreError } from './store-error.js'
import { allocateWriteBuffer, type WriteBuffer } from './write-buffer.js'

const CHECKSUM_BYTES = 4

let scratch = allocateWriteBuffer(4 * 1024)

/** An encoder for lmdb's `openDB`. */
export const checkedValues = {
  /** Returns a buffer that the next call overwrites. A write within a transaction copies it before it returns. */
  encode(value: unknown): WriteBuffer {
    const json = JSON.stringify(value)
    const most = CHECKSUM_BYTES + 3 * json.length
    if (scratch.length < most) scratch = allocateWriteBuffer(most)
    const end = CHECKSUM_BYTES + scratch.write(json, CHECKSUM_BYTES)
    scratch.writeUInt32LE(crc32(scratch.subarray(CHECKSUM_BYTES, end)))
    scratch.end = end
    return scratch
  },

  /**
   * Decodes a value.
   * @param bytes a buffer whose `length` lmdb has set to the length of the value
   * @throws StoreError when the value is damaged
   */
  decode(bytes: Buffer): unknown {
    const { length } = bytes
    if (length <= CHECKSUM_BYTES || crc32(bytes.subarray(CHECKSUM_BYTES, length)) !== bytes.readUInt32LE()) {
      throw new StoreError('A value of the log is damaged: its checksum is wrong.')
    }
    return JSON.parse(bytes.toString('utf8', CHECKSUM_BYTES, length))
  },
}
