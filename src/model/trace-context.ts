/**
 * The trace that an event belongs to, as W3C Trace Context and the CloudEvents extension "Distributed Tracing" write
 * it. Source: W3C Trace Context Level 1, 3.2 (`traceparent`) and 3.3 (`tracestate`).
 */
import { ATTRIBUTES } from './attributes.js'

/** The ids of a span. */
export interface SpanIds {
  traceId: string
  spanId: string
  /** Bit 0: the trace is recorded. */
  flags: number
}

/** The attributes of an event that name its trace. */
export interface TraceContext {
  traceparent: string
  tracestate?: string | undefined
}

/** 3.2.2.3 to 3.2.2.5. A version after 00 may have further fields, which 3.2.4 says to ignore. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const ZEROS = /^0+$/
/** 3.3.1.5: a shorter list may be dropped as a whole. */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/

/** Returns the ids in a header `traceparent`; `undefined` for anything invalid, which 3.2.4 says to ignore. */
export function parseTraceparent(header: unknown): SpanIds | undefined {
  if (typeof header !== 'string') return undefined
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(header) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (ZEROS.test(traceId!) || ZEROS.test(spanId!)) return undefined
  return { traceId: traceId!, spanId: spanId!, flags: Number.parseInt(flags!, 16) }
}

/** Writes a `traceparent` of version 00. */
export function printTraceparent({ traceId, spanId, flags }: SpanIds): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
}

/** Returns a header `tracestate`; `undefined`: it is missing, or not of use. */
export function readTracestate(header: unknown): string | undefined {
  return typeof header === 'string' && TRACESTATE.test(header) ? header : undefined
}

/**
 * Adds the trace of a publish to the attributes of an event. The publisher's own `traceparent` takes precedence. The
 * trace is left out where the attributes would exceed their limits: it must not cause a refusal.
 * @param attributes from `encodeAttributes`
 */
export function withTrace(attributes: string | undefined, { traceparent, tracestate }: TraceContext): string {
  if (attributes === undefined) return JSON.stringify({ traceparent, tracestate })
  if (attributes.includes('"traceparent":')) return attributes // quotes in values are escaped
  const own = JSON.parse(attributes) as Record<string, string>
  const all = { traceparent, ...(tracestate !== undefined && { tracestate }), ...own }
  return fits(all) ? JSON.stringify(all) : attributes
}

function fits(attributes: Record<string, string>): boolean {
  const entries = Object.entries(attributes)
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0)
  return entries.length <= ATTRIBUTES.count && bytes <= ATTRIBUTES.bytes
}
