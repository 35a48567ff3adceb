/** A body as lines: read as it comes, and no faster than the lines are used. */
import { isAscii } from 'node:buffer'
import type { Readable } from 'node:stream'
import { BodyPieces } from '../server/body-pieces.js'
import { GrowingBuffer } from '../server/growing-buffer.js'
import type { Waiting } from '../server/body-timeout.js'

const NEWLINE = 0x0a

/** A line without its end: a string when it is ASCII, of as many characters as bytes. */
export type Line = Buffer | string

/**
 * Splits a body into lines, as many at a time as have come; they are split one by one as they are used. A line that is
 * too long is given as far as it has come.
 * @param waiting how long is waited for more; who reads the lines renews it
 * @throws Problem `request-timeout`, `invalid-request` when the body is cut off
 */
export async function* readLines(body: Readable, maxLength: number, waiting: Waiting): AsyncGenerator<Iterable<Line>> {
  const rest = new GrowingBuffer()
  const pieces = new BodyPieces(body)
  try {
    for (let piece = await waiting.for(pieces.next()); piece; piece = await waiting.for(pieces.next())) {
      const last = piece.lastIndexOf(NEWLINE)
      if (last !== -1) yield split(rest, piece.subarray(0, last + 1))
      rest.append(piece.subarray(last + 1))
      if (rest.length > maxLength) yield [rest.take()]
    }
  } finally {
    pieces.stop()
  }
  if (rest.length > 0) yield [rest.take()]
}

/** The lines of bytes that end with a line end. The first line begins with what is left of the bytes before. */
function* split(rest: GrowingBuffer, bytes: Buffer): Generator<Line> {
  let start = 0
  if (rest.length > 0) {
    const end = bytes.indexOf(NEWLINE)
    rest.append(bytes.subarray(0, end))
    yield rest.take()
    start = end + 1
  }
  const lines = bytes.subarray(start)
  yield* isAscii(lines) ? splitText(lines.toString('latin1')) : splitBytes(lines)
}

/** To decode many lines at once takes a fraction of the time of decoding each. */
function* splitText(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start)
    yield text.slice(start, end)
    start = end + 1
  }
}

function* splitBytes(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, start)
    yield bytes.subarray(start, end)
    start = end + 1
  }
}

/** Whether a line has nothing but white space. */
export function isBlank(line: Line): boolean {
  if (line.length === 0) return true
  return line.length < 80 && line.toString('latin1').trim() === ''
}
