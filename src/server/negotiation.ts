/** Content negotiation (RFC 9110, 12.5.1). */
import accepts from 'accepts'
import type { FastifyRequest } from 'fastify'

/** The offered content types. A client may name the charset. */
const OFFERED = {
  'text/event-stream; charset=utf-8': 'text/event-stream',
  'application/json; charset=utf-8': 'application/json',
} as const

/** Returns the content type that the client prefers; `undefined` if it accepts neither. */
export function preferredType(request: FastifyRequest): 'text/event-stream' | 'application/json' | undefined {
  const type = accepts(request.raw).type(Object.keys(OFFERED)) as keyof typeof OFFERED | false
  return type === false ? undefined : OFFERED[type]
}
