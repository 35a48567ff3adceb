/**
 * Every refusal: its stable code, its HTTP status and its words, in one table. The details are said where it happens.
 */
import { STATUS_CODES } from 'node:http'

interface Refusal {
  status: number
  title: string
  /** It is temporary: try again after so many seconds. */
  retryAfter?: number
}

/** What each code means. Codes are never renamed; the docs list them. */
export const refusals = {
  'invalid-request': { status: 400, title: 'The request is not as the API describes it' },
  'unknown-parameter': { status: 400, title: 'The query has a parameter that is not known' },
  'invalid-topic': { status: 400, title: 'This is no topic' },
  'reserved-topic': { status: 400, title: 'The topic is reserved' },
  'invalid-pattern': { status: 400, title: 'This is no topic or pattern' },
  'invalid-cursor': { status: 400, title: 'This is no cursor' },
  'invalid-event': { status: 400, title: 'The event cannot be published as it is' },
  'invalid-json': { status: 400, title: 'The body is not JSON' },
  'invalid-encoding': { status: 400, title: 'The body is not UTF-8' },
  'invalid-line': { status: 400, title: 'A line of the body cannot be published' },
  'conflicting-ids': { status: 400, title: 'The event has two different ids' },
  'token-in-query': { status: 400, title: 'A token does not belong in a URL' },
  'missing-token': { status: 401, title: 'A token is needed' },
  'malformed-token': { status: 401, title: 'The token is not a JSON Web Token' },
  'expired-token': { status: 401, title: 'The token has expired' },
  'inactive-token': { status: 401, title: 'The token is not valid yet' },
  'invalid-signature': { status: 401, title: 'The token is signed with another key' },
  'invalid-algorithm': { status: 401, title: 'The token is signed with another algorithm' },
  'revoked-token': { status: 401, title: 'The token has been revoked' },
  'invalid-ticket': { status: 401, title: 'The ticket is not good' },
  'invalid-claims': { status: 401, title: 'The token does not say what it has to' },
  'not-granted': { status: 403, title: 'The token does not allow this' },
  'foreign-origin': { status: 403, title: 'The page may not do this with a cookie' },
  'not-found': { status: 404, title: 'There is nothing here' },
  'method-not-allowed': { status: 405, title: 'This cannot be done here' },
  'not-acceptable': { status: 406, title: 'There is no such representation' },
  'too-many-cursors': { status: 409, title: 'The subject has as many named cursors as it may have' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'event-too-large': { status: 413, title: 'The event is too large' },
  'uri-too-long': { status: 414, title: 'The URL is too long' },
  'unsupported-media-type': { status: 415, title: 'The body has the wrong content type' },
  'expectation-failed': { status: 417, title: 'The request expects what this server does not do' },
  'rate-limited': { status: 429, title: 'Too many requests', retryAfter: 1 },
  'too-many-topics': { status: 429, title: 'The log holds as many topics as it may', retryAfter: 60 },
  'too-many-ids': { status: 429, title: 'The log remembers as many publisher ids as it may', retryAfter: 10 },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'internal-error': { status: 500, title: 'Something went wrong here' },
  draining: { status: 503, title: 'The hub is about to stop', retryAfter: 5 },
  'too-many-connections': { status: 503, title: 'There are as many connections as there may be', retryAfter: 10 },
  'keys-unavailable': { status: 503, title: 'The keys for tokens cannot be fetched now', retryAfter: 5 },
  'log-unavailable': { status: 503, title: 'The log cannot be used now', retryAfter: 5 },
} as const satisfies Record<string, Refusal>

/** A stable code of a refusal. */
export type ProblemCode = keyof typeof refusals

/** One thing that is wrong with a request. */
export interface ProblemDetail {
  /** Where, as a JSON pointer (RFC 6901) into the part of the request that the message names. */
  path: string
  message: string
}

/** A refusal, ready to be answered as problem details (RFC 9457). */
export class Problem extends Error {
  override name = 'Problem'
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined
  /** Members beside those of every problem: `errors`, or what a single route adds. */
  readonly extensions: Record<string, unknown>

  /**
   * @param detail what is wrong with this request, and what to do
   * @param options `retryAfter` in seconds, where a temporary refusal knows it better than the table
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

  /** Whether it may go away by itself: a browser's EventSource must not be stopped by it. */
  get isTemporary(): boolean {
    return this.retryAfter !== undefined
  }

  /**
   * The body of the answer.
   * @param base what the URI of the error's type starts with
   * @param requestId whatever an application's `genReqId` returns
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

/** The code for a status that a library answered with and this table has no other for. */
export function codeForStatus(status: number): ProblemCode {
  const code = (Object.keys(refusals) as ProblemCode[]).find((name) => refusals[name].status === status)
  return code ?? (status >= 400 && status < 500 ? 'invalid-request' : 'internal-error')
}

/** The standard words for a status. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? 'Unknown'
}
