/** The refusals of a route: those of every route of its kind, and the route's own. */
import { refusals, type ProblemCode } from '../errors.js'
import type { Operation } from './operation.js'
import type { Route } from './route.js'

/** The refusals of every route. */
const ALWAYS: ProblemCode[] = ['invalid-request', 'token-in-query', 'expectation-failed', 'headers-too-large']
const LAST: ProblemCode[] = ['internal-error', 'unavailable']
const OF_TOKENS: ProblemCode[] = [
  'missing-token',
  'malformed-token',
  'expired-token',
  'inactive-token',
  'invalid-signature',
  'invalid-algorithm',
  'revoked-token',
  'invalid-ticket',
  'invalid-claims',
  'not-granted',
  'keys-unavailable',
]
const OF_BODIES: ProblemCode[] = ['request-timeout', 'body-too-large', 'unsupported-media-type']
const OF_JSON: ProblemCode[] = ['invalid-json', 'invalid-encoding']
const OF_PUBLISHING: ProblemCode[] = [
  'invalid-topic',
  'reserved-topic',
  'invalid-event',
  'schema-mismatch',
  'event-too-large',
  'rate-limited',
  'too-many-topics',
  'too-many-ids',
  'draining',
  'log-unavailable',
]

/** Returns the codes with which a route refuses requests, in the order of the table of errors. */
export function problemsOf(route: Route, { problems = [] }: Pick<Operation, 'problems'>): ProblemCode[] {
  const { isAuthenticated, publishes, schema, anyQuery, path, method } = route
  const readsBody = schema.body !== undefined || publishes !== undefined
  const isRead = method === 'GET' || method === 'HEAD'
  const codes = new Set<ProblemCode>([
    ...ALWAYS,
    ...(anyQuery ? [] : (['unknown-parameter'] as const)),
    ...(path.includes(':') ? (['uri-too-long'] as const) : []),
    ...(isAuthenticated ? OF_TOKENS : []),
    ...(isAuthenticated && !isRead ? (['foreign-origin'] as const) : []),
    ...(isRead ? [] : (['unsupported-media-type'] as const)), // also for a body that the route does not need
    ...(readsBody ? OF_BODIES : []),
    ...(readsBody && publishes !== 'bytes' ? OF_JSON : []),
    ...(publishes === 'event' || publishes === 'events' ? OF_PUBLISHING : []),
    ...problems,
    ...LAST,
  ])
  return (Object.keys(refusals) as ProblemCode[]).filter((code) => codes.has(code))
}

/** Groups codes by status, in the order of the statuses. */
export function byStatus(codes: readonly ProblemCode[]): Map<number, ProblemCode[]> {
  const statuses = new Map<number, ProblemCode[]>()
  for (const code of codes) {
    const { status } = refusals[code]
    statuses.set(status, [...(statuses.get(status) ?? []), code])
  }
  return new Map([...statuses].sort(([a], [b]) => a - b))
}
