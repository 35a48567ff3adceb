/** Content negotiation (RFC 9110, 12.5.1). */
import type { IncomingMessage } from 'node:http'
import accepts from 'accepts'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The offered content types. A client may name the charset. */
const OFFERED = {
  'text/event-stream; charset=utf-8': 'text/event-stream',
  'application/json; charset=utf-8': 'application/json',
} as const

/** The parameters of a media range, but for its weight: servers of metrics ignore versions and escaping. */
const PARAMETERS = /;\s*(?!q\s*=)[^;,]*/gi

/** Whether the client prefers metrics in the format of OpenMetrics. Any other client gets the text of Prometheus. */
export function prefersOpenMetrics({ headers, raw }: FastifyRequest): boolean {
  const accept = headers.accept?.replace(PARAMETERS, '')
  const request = Object.create(raw, { headers: { value: { accept } } }) as IncomingMessage
  return accepts(request).type(['text/plain', 'application/openmetrics-text']) === 'application/openmetrics-text'
}

/** Returns the content type that the client prefers; `undefined` if it accepts neither. */
export function preferredType(request: FastifyRequest): 'text/event-stream' | 'application/json' | undefined {
  const type = accepts(request.raw).type(Object.keys(OFFERED)) as keyof typeof OFFERED | false
  return type === false ? undefined : OFFERED[type]
}

/** Adds `Accept` to the header `Vary`. */
export function varyByAccept(reply: FastifyReply): void {
  const already = reply.getHeader('vary')
  reply.header('vary', already === undefined ? 'Accept' : `${String(already)}, Accept`)
}
