/** The process's log: JSON lines, or words for a person in a terminal. */
import type { FastifyRequest } from 'fastify'
import { pino, type Logger } from 'pino'

/** What is logged of a request: never a query string, a header or a body, since tokens can stand in any of them. */
const serializers = {
  req: (request: FastifyRequest) => ({
    method: request.method,
    path: withoutTokens(pathOf(request)),
    remoteAddress: request.ip,
  }),
}

/** @param terminal whether a person reads it */
export function createLogger(level: string, terminal: boolean): Logger {
  if (!terminal) return pino({ level, serializers })
  return pino({
    level,
    serializers,
    transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' } },
  })
}

/** The URL of a request without its query string. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]!
}

/**
 * A JSON Web Token, a ticket or the beginning of one, perhaps percent-encoded: its header is JSON, `{"` in base64url
 * (RFC 7515, 3.1).
 */
const TOKEN = /eyJ[\w.%-]{16,}/g

/** A text that is logged, without the tokens that whoever sent it may have put there by mistake. */
export function withoutTokens(text: string): string {
  return text.replaceAll(TOKEN, 'eyJ…')
}
