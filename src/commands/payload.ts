/** What `fanfare publish` makes of its argument or of its standard input: JSON, a text, or bytes. */
import { CommandError } from './command.js'

export type PayloadKind = 'auto' | 'text' | 'json' | 'bytes'

/** The member of an event that holds its payload. */
export type Payload = { data: unknown } | { text: string } | { bytes: string }

/**
 * Returns the payload that `written` means.
 *
 * - `auto`: JSON if it begins with `{`, `[` or `"`, or is `true`, `false`, `null` or a number that JSON prints in the
 *   same way; otherwise a text. So a misspelt object is refused, and `1.10` or a long number keeps its digits.
 * - `text`, `json`, `bytes`: exactly that.
 *
 * @throws CommandError if it is not valid JSON, or not UTF-8
 */
export function payloadOf(written: string | Buffer, kind: PayloadKind): Payload {
  if (kind === 'bytes') return { bytes: Buffer.from(written).toString('base64') }
  const text = typeof written === 'string' ? written : decode(written)
  if (kind === 'text') return { text }
  if (kind === 'json') return { data: parse(text, 'The payload') }
  const trimmed = text.trim()
  if (/^[{["]/.test(trimmed)) return { data: parse(trimmed, 'The payload begins as JSON and') }
  if (['true', 'false', 'null'].includes(trimmed) || isPlainNumber(trimmed)) return { data: JSON.parse(trimmed) }
  return { text }
}

/** Removes one line break from the end of a text: that of `echo`. */
export function withoutLineEnd(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1)
}

/** Whether a text is a number in JSON whose digits survive JavaScript's numbers. */
function isPlainNumber(text: string): boolean {
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) && String(Number(text)) === text
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (err) {
    throw new CommandError(
      `${what} is not valid JSON (${err instanceof Error ? err.message : String(err)}); publish it as it is with --text.`,
    )
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CommandError('The payload is not UTF-8: publish it with --bytes.')
  }
}
