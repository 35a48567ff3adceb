/**
 * Values with a checksum, for the tables beside the events. A value is its CRC-32 and then JSON. LMDB has no checksums
 * of its own: a damaged byte would be read as another value.
 */
import { crc32 } from 'node:zlib'
import { StoreError } from './store-error.js'

const CHECKSUM_BYTES = 4

/** An encoder for lmdb's `openDB`. */
export const checkedValues = {
  encode(value: unknown): Buffer {
    const json = Buffer.from(`    ${JSON.stringify(value)}`)
    json.writeUInt32LE(crc32(json.subarray(CHECKSUM_BYTES)))
    return json
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
