/**
 * Values with a checksum, for the tables beside the events. A value is its CRC-32 and then JSON. LMDB has no checksums
 * of its own: a damaged byte would be read as another value.
 */
import { crc32 } from 'node:zlib'
import { StoreError } from './store-error.js'
import { allocateWriteBuffer, type WriteBuffer } from './write-buffer.js'

const CHECKSUM_BYTES = 4

let scratch = allocateWriteBuffer(4 * 1024)

/** An encoder for lmdb's `openDB`. */
export const checkedValues = {
  /** The bytes are overwritten by the next call: lmdb has copied them when a write within a transaction returns. */
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
   * @param bytes a longer buffer with a length of its own
   * @throws StoreError when the value is damaged
   */
  decode(bytes: Buffer): unknown {
    const { length } = bytes
    if (length <= CHECKSUM_BYTES || crc32(bytes.subarray(CHECKSUM_BYTES, length)) !== bytes.readUInt32LE()) {
      throw new StoreError('A value of the log is damaged: its checksum does not fit.')
    }
    return JSON.parse(bytes.toString('utf8', CHECKSUM_BYTES, length))
  },
}
