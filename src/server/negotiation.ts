/** Which representation a client is given (RFC 9110, 12.5.1). */
import accepts from 'accepts'
import type { FastifyRequest } from 'fastify'

/** What is offered; who asks for it in UTF-8 means the same. */
const OFFERED = {
  'text/event-stream; charset=utf-8': 'text/event-stream',
  'application/json; charset=utf-8': 'application/json',
} as const

/** The type that a client of a route with streams likes best; `undefined`: neither. */
export function preferredType(request: FastifyRequest): 'text/event-stream' | 'application/json' | undefined {
  const type = accepts(request.raw).type(Object.keys(OFFERED)) as keyof typeof OFFERED | false
  return type === false ? undefined : OFFERED[type]
}
