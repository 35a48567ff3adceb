/** Bytes as base64 (RFC 4648, section 4): the payload of an event with `bytes`, and how JSON carries it. */
import { isUint8Array } from 'node:util/types'
import { HubError } from './hub-error.js'
import { quote } from './quote.js'

/**
 * Returns bytes as base64. Base64 is accepted in its canonical form only, since decoders disagree on other forms.
 * @param bytes a `Uint8Array`, or base64
 * @throws HubError `invalid-event`
 */
export function encodeBytes(bytes: unknown): string {
  if (isUint8Array(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  if (typeof bytes !== 'string')
    throw new HubError('invalid-event', `"bytes" is base64 or a Uint8Array, not ${quote(bytes)}.`)
  if (Buffer.from(bytes, 'base64').toString('base64') === bytes) return bytes
  throw new HubError(
    'invalid-event',
    '"bytes" is not base64 (RFC 4648, section 4): characters of A-Z a-z 0-9 + /, padded with = to a multiple of four, unused bits zero, no white space.',
  )
}

/** Returns the number of bytes that base64 encodes. */
export function decodedLength(base64: string): number {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  return (base64.length / 4) * 3 - padding
}

/** Returns the bytes that base64 encodes, in memory of their own. */
export function decodeBytes(base64: string): Uint8Array {
  // small Buffers share memory with each other
  return new Uint8Array(Buffer.from(base64, 'base64'))
}
