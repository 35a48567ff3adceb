/**
 * The limits for the head of a request, which are the same with HTTP/1.1 and HTTP/2. Node's parser of HTTP/1.1 limits
 * the size of a head, and silently drops the header fields after the 2,000th. Node's HTTP/2 counts in another way, and
 * resets a stream without an answer.
 */
import { maxHeaderSize, type IncomingMessage } from 'node:http'

/** The maximum number of header fields: Node's default for HTTP/2. */
const MAX_FIELDS = 128

/** The fault of a head that is too large. Node's default is 16 KiB (`--max-http-header-size`). */
export const HEAD_TOO_LARGE = `The headers have more than ${maxHeaderSize / 1024} KiB.`

/**
 * The limits of Node for HTTP/2. They are wider than those of the hub, so that the client gets an answer. HTTP/2 adds
 * 32 bytes for each field (RFC 9113, 6.5.2), and a client may send one `Cookie` as many fields.
 */
export const WIDE_LIMITS = { fields: 2_000, bytes: 4 * maxHeaderSize }

/** Returns why a head exceeds a limit; `undefined` if it does not. */
export function headFault(request: Pick<IncomingMessage, 'httpVersionMajor' | 'rawHeaders'>): string | undefined {
  // Node has already limited the size with HTTP/1.1
  const isMeasured = request.httpVersionMajor > 1
  const { fields, bytes } = isMeasured ? measure(request) : { fields: request.rawHeaders.length / 2, bytes: 0 }
  if (fields > MAX_FIELDS) return `The request has ${fields} headers, and may have ${MAX_FIELDS}.`
  return bytes >= maxHeaderSize ? HEAD_TOO_LARGE : undefined
}

/**
 * Returns the number of header fields of an HTTP/2 request, and the size of its head as Node counts it with HTTP/1.1:
 * the URL, the names and the values. `:authority` counts as `Host`. A client may send the pairs of one `Cookie` as
 * several fields (RFC 9113, 8.2.3), which count as one.
 */
function measure({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): { fields: number; bytes: number } {
  let [fields, bytes] = [0, 0]
  let hasCookie = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name, { length }] = [rawHeaders[index]!, rawHeaders[index + 1]!]
    if (name === ':path') bytes += length
    if (name.startsWith(':') && name !== ':authority') continue
    if (name === 'cookie' && hasCookie) {
      bytes += '; '.length + length
      continue
    }
    hasCookie ||= name === 'cookie'
    fields++
    bytes += (name === ':authority' ? 'host' : name).length + length
  }
  return { fields, bytes }
}
