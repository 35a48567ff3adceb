/** The process's log: JSON lines, or words for a person in a terminal. */
import type { FastifyRequest } from 'fastify'
import { pino, type Logger } from 'pino'

/** What is logged of a request: never a query string, a header or a body, since tokens can stand in any of them. */
const serializers = {
  req: (request: FastifyRequest) => ({ method: request.method, path: pathOf(request), remoteAddress: request.ip }),
}

/** @param terminal whether a person reads it */
export function createLogger(level: string, terminal: boolean): Logger {
  if (!terminal) return pino({ level, serializers })
  return pino({ level, serializers, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' } } })
}

/** The URL of a request without its query string. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]!
}
