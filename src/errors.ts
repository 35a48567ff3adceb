/**
 * The table of refusals: code, HTTP status and title. The code that throws a refusal adds the detail.
 */
import { STATUS_CODES } from 'node:http'

interface Refusal {
  status: number
  title: string
  /** Seconds after which a client may try again. A refusal with this member is temporary. */
  retryAfter?: number
}

/** The refusals by code. A released code is never renamed; `docs/errors.md` lists all codes. */
export const refusals = {
  'invalid-request': { status: 400, title: 'The request does not match the API' },
  'unknown-parameter': { status: 400, title: 'The query has an unknown parameter' },
  'invalid-topic': { status: 400, title: 'The topic name is invalid' },
  'reserved-topic': { status: 400, title: 'The topic is reserved' },
  'invalid-pattern': { status: 400, title: 'The topic or pattern is invalid' },
  'invalid-cursor': { status: 400, title: 'The cursor is invalid' },
  'invalid-event': { status: 400, title: 'The event is invalid' },
  'schema-mismatch': { status: 400, title: 'The event does not fit the schema of its topic' },
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'invalid-encoding': { status: 400, title: 'The body is not valid UTF-8' },
  'invalid-line': { status: 400, title: 'A line of the body is not a valid event' },
  'conflicting-ids': { status: 400, title: 'The event has two different ids' },
  'token-in-query': { status: 400, title: 'Tokens are not accepted in URLs' },
  'missing-token': { status: 401, title: 'The request needs a token' },
  'malformed-token': { status: 401, title: 'The token is not a JSON Web Token' },
  'expired-token': { status: 401, title: 'The token has expired' },
  'inactive-token': { status: 401, title: 'The token is not valid yet' },
  'invalid-signature': { status: 401, title: 'The signature of the token does not match' },
  'invalid-algorithm': { status: 401, title: 'The token is signed with an algorithm that the hub does not accept' },
  'revoked-token': { status: 401, title: 'The token has been revoked' },
  'invalid-ticket': { status: 401, title: 'The ticket is invalid or has expired' },
  'invalid-claims': { status: 401, title: 'A claim of the token is missing or invalid' },
  'not-granted': { status: 403, title: 'The token does not allow this' },
  'foreign-origin': { status: 403, title: 'Pages of this origin cannot use the cookie' },
  'not-found': { status: 404, title: 'No such resource' },
  'method-not-allowed': { status: 405, title: 'This resource does not support the method' },
  'not-acceptable': { status: 406, title: 'None of the accepted content types is available' },
  'too-many-cursors': { status: 409, title: 'The subject has reached its limit of named cursors' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'event-too-large': { status: 413, title: 'The event is too large' },
  'uri-too-long': { status: 414, title: 'The URL is too long' },
  'unsupported-media-type': { status: 415, title: 'The content type of the body is not supported' },
  'expectation-failed': { status: 417, title: 'The expectation in the header Expect is not supported' },
  'rate-limited': { status: 429, title: 'Too many requests', retryAfter: 1 },
  'too-many-topics': { status: 429, title: 'The log has reached its limit of topics', retryAfter: 60 },
  'too-many-ids': { status: 429, title: 'The log has reached its limit of publisher ids', retryAfter: 10 },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'internal-error': { status: 500, title: 'The hub failed to handle the request' },
  draining: { status: 503, title: 'The hub is stopping', retryAfter: 5 },
  'too-many-connections': { status: 503, title: 'A limit of open streams is reached', retryAfter: 10 },
  'keys-unavailable': { status: 503, title: 'The keys that verify tokens are not available', retryAfter: 5 },
  'log-unavailable': { status: 503, title: 'The log is not available', retryAfter: 5 },
  unavailable: { status: 503, title: 'A service or process that the hub needs is not available', retryAfter: 5 },
} as const satisfies Record<string, Refusal>

/** The code of a refusal. */
export type ProblemCode = keyof typeof refusals

/** One fault of a request. */
export interface ProblemDetail {
  /** The faulty value: a JSON pointer (RFC 6901) into the body, or into the query as an object. */
  path: string
  message: string
}

/** A refusal as problem details (RFC 9457). */
export class Problem extends Error {
  override name = 'Problem'
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined
  /** Further members of the body: `errors`, or members of one route. */
  readonly extensions: Record<string, unknown>

  /**
   * @param detail what is wrong with this request, and what to do
   * @param options `retryAfter` in seconds replaces the value of the table
   */
  constructor(
    code: ProblemCode,
    detail: string,
    extensions: Record<string, unknown> = {},
    options?: ErrorOptions & { retryAfter?: number },
  ) {
    super(detail, options)
    const refusal: Refusal = refusals[code]
    this.code = code
    this.status = refusal.status
    this.title = refusal.title
    this.retryAfter = options?.retryAfter ?? refusal.retryAfter
    this.extensions = extensions
  }

  /** Whether a later attempt may succeed. A temporary refusal must not stop a browser's EventSource for good. */
  get isTemporary(): boolean {
    return this.retryAfter !== undefined
  }

  /**
   * Returns the body of the answer.
   * @param base the prefix of the URI in `type`
   * @param requestId the request's id, of any type: an application may set `genReqId`
   */
  toBody(base: string, requestId: unknown): Record<string, unknown> {
    return {
      type: `${base}/errors/${this.code}`,
      title: this.title,
      status: this.status,
      detail: this.message,
      code: this.code,
      requestId: String(requestId),
      ...this.extensions,
    }
  }
}

/** The statuses of errors that end by themselves: RFC 9110, 15.6.3 to 15.6.5. */
const TEMPORARY: ReadonlySet<number> = new Set([502, 503, 504])

/** Returns the code for an error of a library or of the application that has only an HTTP status. */
export function codeForStatus(status: number): ProblemCode {
  if (TEMPORARY.has(status)) return 'unavailable'
  const code = (Object.keys(refusals) as ProblemCode[]).find((name) => refusals[name].status === status)
  return code ?? (status >= 400 && status < 500 ? 'invalid-request' : 'internal-error')
}

/** Returns the standard reason phrase of a status (RFC 9110, 15). */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? 'Unknown'
}
