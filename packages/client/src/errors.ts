/** The errors of the client. */

/** One fault of a request, as the hub reports it. */
export interface ProblemDetail {
  /** The faulty value: a JSON pointer (RFC 6901). */
  path: string
  message: string
}

export interface HubErrorOptions extends ErrorOptions {
  /** The wait that the hub asks for (`Retry-After`), in milliseconds. */
  retryAfter?: number | undefined
  errors?: readonly ProblemDetail[] | undefined
}

/** A refusal of the hub (problem details, RFC 9457), or the failure to reach it. The message is the hub's detail. */
export class HubError extends Error {
  override name = 'HubError'
  /** The hub's code, such as `not-granted`, or `unreachable`: no answer. */
  declare readonly code: string
  /** The HTTP status; 0 if there was no answer. */
  declare readonly status: number
  declare readonly retryAfter: number | undefined
  /** The faults of the request, if the hub lists them. */
  declare readonly errors: readonly ProblemDetail[] | undefined

  constructor(code: string, status: number, detail: string, { retryAfter, errors, ...options }: HubErrorOptions = {}) {
    super(detail, options)
    Object.assign(this, { code, status, retryAfter, errors })
  }

  /** Whether the hub refuses the same request again. The client repeats other requests by itself. */
  get isFinal(): boolean {
    return /^4(?!08|29)/.test(String(this.status))
  }
}

/** Returns the error of a request that has no answer. */
export function unreachable(cause: unknown): HubError {
  return new HubError('unreachable', 0, 'The hub cannot be reached.', { cause })
}

/** Whether repeating what has failed is of no use. */
export function isFinal(error: unknown): error is HubError {
  return error instanceof HubError && error.isFinal
}

/**
 * Throws an error that no listener takes, in a task of its own: as an uncaught error it reaches `window.onerror` or
 * ends the process, as the error of any other listener does.
 */
export function report(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}
