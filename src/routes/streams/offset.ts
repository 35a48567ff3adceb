/** Prints and parses the offsets of finite topics (Durable Streams, 8). */
import { Problem } from '../../errors.js'
import { quote } from '../../model/quote.js'
import { OFFSET_SYNTAX } from '../../schemas/finite.js'

/** The number of digits. All sequences of a log have fewer, so offsets sort as text. */
const DIGITS = 16
/** An offset. The conformance suite of the protocol sends the start of a stream with a second zero. */
const OFFSET = new RegExp(OFFSET_SYNTAX)

/** Returns the offset after the message with a sequence. */
export function printOffset(sequence: number): string {
  return String(sequence).padStart(DIGITS, '0')
}

/**
 * Returns the sequence of an offset; 0 for the start.
 * @throws Problem `invalid-offset`
 */
export function parseOffset(text: string): number {
  if (text === '-1') return 0
  const sequence = Number(OFFSET.exec(text)?.[1] ?? NaN)
  if (Number.isSafeInteger(sequence)) return sequence
  throw new Problem(
    'invalid-offset',
    `${quote(text)} is not an offset: use a Stream-Next-Offset that the hub has sent, "-1" for the start or "now" for the tail.`,
  )
}
