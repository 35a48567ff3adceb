/** A chunked body, read exactly as in RFC 9112, 7.1. */
export interface ReadChunks {
  /** The text of each complete chunk. */
  parts: string[]
  /** Whether the last chunk has arrived, so that the body was not cut off. */
  isComplete: boolean
}

/**
 * Reads a chunked body.
 * @throws Error if the body is not chunked, or has chunk extensions, trailers or bytes after its end, which the hub
 *   never sends
 */
export function decodeChunks(bytes: Buffer): ReadChunks {
  const parts: string[] = []
  for (let from = 0; from < bytes.length;) {
    const lineEnd = bytes.indexOf('\r\n', from)
    if (lineEnd === -1) break
    const line = bytes.toString('latin1', from, lineEnd)
    if (!/^(0|[1-9a-f][0-9a-f]*)$/.test(line))
      throw new Error(`no size of a chunk: ${JSON.stringify(line.slice(0, 100))}`)
    const size = Number.parseInt(line, 16)
    const begin = lineEnd + 2
    const end = begin + size
    if (bytes.length < end + 2) break
    if (bytes.toString('latin1', end, end + 2) !== '\r\n') throw new Error('a chunk is longer than it says')
    if (size === 0) {
      if (bytes.length > end + 2) throw new Error('bytes after the last chunk')
      return { parts, isComplete: true }
    }
    parts.push(bytes.toString('utf8', begin, end))
    from = end + 2
  }
  return { parts, isComplete: false }
}
