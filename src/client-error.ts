/** Answers what is no HTTP request, or too much of one: Node refuses it before there is anything to route. */
import type { Socket } from 'node:net'
import { Problem, reasonPhrase, type ProblemCode } from './errors.js'

const CODES: Record<string, [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The headers have more bytes than are taken (16 KiB).'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.'],
}

/** For how long a peer that was answered may keep its side of the connection open, in milliseconds. */
const END_GRACE = 2_000

export function answerClientError(err: Error & { code?: string }, socket: Socket): void {
  if (err.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
  const [code, words] = CODES[err.code ?? ''] ?? ['invalid-request', 'What was sent is no HTTP request.']
  const problem = new Problem(code, words)
  const body = JSON.stringify(problem.toBody('', ''))
  socket.end(`HTTP/1.1 ${problem.status} ${reasonPhrase(problem.status)}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`)
  const timer = setTimeout(() => socket.destroy(), END_GRACE).unref()
  socket.once('close', () => clearTimeout(timer))
}
