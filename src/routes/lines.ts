/** Splits a body into lines as it arrives, with backpressure: reads no more until the caller has used the lines. */
import { isAscii } from 'node:buffer'
import type { Readable } from 'node:stream'
import { BodyPieces } from '../server/body-pieces.js'
import { GrowingBuffer } from '../server/growing-buffer.js'
import type { Waiting } from '../server/body-timeout.js'

const NEWLINE = 0x0a

/** A line without its line end. An ASCII line is a string, whose length is its number of bytes. */
export type Line = Buffer | string

/**
 * Yields the lines of a body in groups, as many as have arrived. A group is split lazily. If a line is longer than
 * `maxLength`, the generator yields the part of the line that has arrived.
 * @param maxLength in bytes
 * @param waiting the time limit for more data; the consumer renews it
 * @throws Problem `request-timeout`, or `invalid-request` if the body ends early
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

/** Yields the lines of bytes that end with a line end. `rest` is the beginning of the first line. */
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

/** Splits decoded text: decoding many lines at once takes a fraction of the time of decoding each line. */
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

/** Whether a line is empty or white space. */
export function isBlank(line: Line): boolean {
  if (line.length === 0) return true
  return line.length < 80 && line.toString('latin1').trim() === ''
}
