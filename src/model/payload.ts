/** The payload of an event: its kind, and its form in memory and in the log. */
import { decodedLength } from './base64.js'

/** `json`: a payload is compact JSON. `text`: it is the text itself. `bytes`: it is base64 with padding. */
export type PayloadKind = 'json' | 'text' | 'bytes'

/** A payload that is read from the log: a Buffer holds UTF-8 or, of the kind `bytes`, the bytes themselves. */
interface ReadPayload {
  kind: PayloadKind
  payload: string | Buffer
}

/** Returns a payload that was read from the log as a string, as it was published. */
export function payloadOf({ kind, payload }: ReadPayload): string {
  return typeof payload === 'string' ? payload : payload.toString(kind === 'bytes' ? 'base64' : 'utf8')
}

/** Returns the size of a payload, in bytes: of a text in UTF-8, and of bytes without their base64. */
export function payloadBytes({ kind, payload }: { kind: PayloadKind; payload: string }): number {
  return kind === 'bytes' ? decodedLength(payload) : Buffer.byteLength(payload)
}
