/** The logger of the process: JSON lines, or readable text in a terminal. */
import type { FastifyRequest } from 'fastify'
import { pino, type Logger } from 'pino'

/** Logs no query string, header or body of a request, since each of them can hold a token. */
const serializers = {
  req: (request: FastifyRequest) => ({
    method: request.method,
    path: withoutTokens(pathOf(request)),
    remoteAddress: request.ip,
  }),
}

/** @param terminal whether the output is a terminal */
export function createLogger(level: string, terminal: boolean): Logger {
  if (!terminal) return pino({ level, serializers })
  return pino({
    level,
    serializers,
    transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' } },
  })
}

/** Returns the URL of a request without its query string. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]!
}

/**
 * The beginning of a JSON Web Token or a ticket, possibly percent-encoded. `eyJ` is `{"` in base64url, the start of the
 * header (RFC 7515, 3.1).
 */
const TOKEN = /eyJ[\w.%-]{16,}/g

/** Removes tokens from a text for the log. A client may have put them there by mistake. */
export function withoutTokens(text: string): string {
  return text.replaceAll(TOKEN, 'eyJ…')
}
