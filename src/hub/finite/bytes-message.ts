/** Messages of bytes. */
import { isUtf8 } from 'node:buffer'
import { isText } from '../../model/media-type.js'
import type { Message } from './finite-topic.js'

/**
 * Returns the message of bytes. Text that is not UTF-8 is stored as bytes, and read unchanged.
 * @param contentType that of the finite topic, other than JSON
 */
export function bytesMessage(bytes: Uint8Array, contentType: string): Message {
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isText(contentType) && isUtf8(payload)) return { kind: 'text', payload: payload.toString() }
  return { kind: 'bytes', payload: payload.toString('base64') }
}
