/** Runs the work of a request in its span, if the process has an SDK of OpenTelemetry. */
import type { FastifyRequest } from 'fastify'
import type { TraceContext } from '../../model/trace-context.js'
import type { Traces } from '../../observe/traces.js'

/**
 * Runs the work of a request in the span that its route names (`config.span`).
 * @param work is given the trace for the attributes of events; `undefined`: there is none
 */
export function inSpan<T>(
  traces: Traces,
  request: FastifyRequest,
  work: (trace: TraceContext | undefined) => Promise<T>,
): Promise<T> {
  const span = request.routeOptions.config.span?.(request)
  const trace = span && traces.begin(span.name, request.headers, span.attributes)
  return trace ? trace.run(() => work(trace.context)) : work(undefined)
}
