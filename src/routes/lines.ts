/** A body as lines: read as it comes, and no faster than the lines are used. */
import type { Readable } from 'node:stream'
import type { Waiting } from '../patience.js'

const NEWLINE = 0x0a
/** How much is read, in bytes, of a body of which nothing more is wanted. */
const DROPPED_AT_MOST = 512 * 1024
/** How long the peer has then to read its answer, in milliseconds. */
const LINGER = 1_000

/**
 * Splits a body into lines, as many at a time as have come. A line that is too long is given as far as it has come.
 * @param waiting how long is waited for more; who reads the lines renews it
 * @throws Problem `request-timeout`
 */
export async function* readLines(body: Readable, maxLength: number, waiting: Waiting): AsyncGenerator<Buffer[]> {
  let rest: Buffer[] = []
  let length = 0
  const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>
  try {
    for (let next = await waiting.for(chunks.next()); !next.done; next = await waiting.for(chunks.next())) {
      const chunk = next.value
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
  } finally {
    const end = chunks.return?.()
    if (!waiting.isOver) await end // else it waits itself for what may never come
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

/**
 * Reads and drops what is left of a body, so that the answer arrives and the connection can be used again; but not for ever.
 * A connection that is closed while something of it is unread is reset, and an answer that the peer has not read is lost
 * (RFC 9112, 9.6): so it is given the time to read it.
 */
export function dropRest(body: Readable): void {
  let left = DROPPED_AT_MOST
  body.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left >= 0) return
    body.pause()
    setTimeout(() => body.destroy(), LINGER).unref()
  })
}
