/** A body as lines: read as it comes, and no faster than the lines are used. */
import type { Readable } from 'node:stream'

const NEWLINE = 0x0a
/** How much is read, in bytes, of a body of which nothing more is wanted. */
const DROPPED_AT_MOST = 16 * 1024 * 1024

/** Splits a body into lines, as many at a time as have come. A line that is too long is given as far as it has come. */
export async function* readLines(body: Readable, maxLength: number): AsyncGenerator<Buffer[]> {
  let rest: Buffer[] = []
  let length = 0
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const last = chunk.lastIndexOf(NEWLINE)
    if (last === -1) {
      rest.push(chunk)
      length += chunk.length
      if (length > maxLength) yield [Buffer.concat(rest)]
      continue
    }
    yield split(Buffer.concat([...rest, chunk.subarray(0, last)]))
    rest = [chunk.subarray(last + 1)]
    length = chunk.length - last - 1
  }
  if (length > 0) yield [Buffer.concat(rest)]
}

function split(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    lines.push(bytes.subarray(start, end))
    start = end + 1
  }
  lines.push(bytes.subarray(start))
  return lines
}

/** Whether a line has nothing but white space. */
export function isBlank(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes.length < 80 && bytes.toString('latin1').trim() === '')
}

/** Reads and drops what is left of a body, so that the answer arrives and the connection can be used again; but not for ever. */
export function dropRest(body: Readable): void {
  let left = DROPPED_AT_MOST
  body.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) body.destroy()
  })
}
