/** Answers what is no HTTP request, or too much of one: Node refuses it before there is anything to route. */
import type { Socket } from 'node:net'
import { Problem, reasonPhrase, type ProblemCode } from '../errors.js'
import { NO_STORE } from './no-store.js'

const CODES: Record<string, [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The headers have more bytes than are taken (16 KiB).'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.'],
}

/** For how long a peer that was answered may keep its side of the connection open, in milliseconds. */
const END_GRACE = 2_000

/** @param headersFor the headers that the page of an origin needs to read the answer */
export function clientErrorHandler(headersFor: (origin: string | undefined) => Record<string, string>) {
  return (err: ClientError, socket: Socket): void => {
    if (err.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
    const [code, words] = CODES[err.code ?? ''] ?? ['invalid-request', 'What was sent is no HTTP request.']
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
  /** What of the request was read last: a Buffer. */
  rawPacket?: unknown
}

/** The header `Origin` of a head that Node could not read, if it was in what was read last. */
function originIn(packet: unknown): string | undefined {
  if (!Buffer.isBuffer(packet)) return undefined
  const [, origin] = /(?:^|\n)origin:([^\r\n]*)[\r\n]/i.exec(packet.toString('latin1')) ?? []
  return origin?.trim()
}
