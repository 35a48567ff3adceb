/** Answers requests that Node's HTTP parser refuses: malformed requests, too large headers and timeouts. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Problem, reasonPhrase, type ProblemCode } from '../errors.js'
import { HEAD_TOO_LARGE } from './header-limits.js'
import { NO_STORE } from './no-store.js'

const CODES: Record<string, [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', HEAD_TOO_LARGE],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.'],
}

/** How long the peer may keep its side of the connection open after the answer, in milliseconds. */
const END_GRACE = 2_000

/**
 * @param headersFor returns the CORS headers for an origin
 * @param onRefusal is called with the code of each refusal
 */
export function clientErrorHandler(
  headersFor: (origin: string | undefined) => Record<string, string>,
  onRefusal: (code: ProblemCode) => void,
) {
  return (err: ClientError, socket: Socket): void => {
    if (err.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
    if (socket instanceof TLSSocket && socket.alpnProtocol === null) return void socket.destroy() // no handshake
    const [code, words] = CODES[err.code ?? ''] ?? ['invalid-request', 'The hub cannot parse the HTTP request.']
    onRefusal(code)
    const problem = new Problem(code, words)
    const body = JSON.stringify(problem.toBody('', ''))
    const headers = {
      'content-type': 'application/problem+json',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
      ...NO_STORE,
      ...headersFor(originIn(err.rawPacket)),
    }
    const head = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    socket.end(`HTTP/1.1 ${problem.status} ${reasonPhrase(problem.status)}\r\n${head}\r\n${body}`)
    const timer = setTimeout(() => socket.destroy(), END_GRACE).unref()
    socket.once('close', () => clearTimeout(timer))
  }
}

interface ClientError extends Error {
  code?: string
  /** The last packet that was read, a Buffer. */
  rawPacket?: unknown
}

/** Returns the header `Origin` in the last packet of a head that Node could not parse. */
function originIn(packet: unknown): string | undefined {
  if (!Buffer.isBuffer(packet)) return undefined
  const [, origin] = /(?:^|\n)origin:([^\r\n]*)[\r\n]/i.exec(packet.toString('latin1')) ?? []
  return origin?.trim()
}
