/** The payload of an event: its kind, and its form in memory and in the log. */
import { decodedLength } from './base64.js'

/** The kind of a payload: compact JSON, the text itself, or base64 with padding. */
export type PayloadKind = 'json' | 'text' | 'bytes'

/** A payload that is read from the log: a Buffer holds UTF-8 or, for the kind `bytes`, the bytes themselves. */
interface ReadPayload {
  kind: PayloadKind
  payload: string | Buffer
}

/** Returns a payload that was read from the log as a string, as it was published. */
export function payloadOf({ kind, payload }: ReadPayload): string {
  return typeof payload === 'string' ? payload : payload.toString(kind === 'bytes' ? 'base64' : 'utf8')
}

/** Returns the size of a payload, in bytes: of its UTF-8, or of the bytes that its base64 encodes. */
export function payloadBytes({ kind, payload }: { kind: PayloadKind; payload: string }): number {
  return kind === 'bytes' ? decodedLength(payload) : Buffer.byteLength(payload)
}
