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
  readonly code: string
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number
  readonly retryAfter: number | undefined
  /** The faults of the request, if the hub lists them. */
  readonly errors: readonly ProblemDetail[] | undefined

  constructor(code: string, status: number, detail: string, { retryAfter, errors, ...options }: HubErrorOptions = {}) {
    super(detail, options)
    this.code = code
    this.status = status
    this.retryAfter = retryAfter
    this.errors = errors
  }

  /** Whether the hub refuses the same request again. The client repeats other requests by itself. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429
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

/** Reads the refusal in an answer. */
export async function refusalOf(response: Response): Promise<HubError> {
  const problem = (await response.json().catch(() => ({}))) as {
    code?: string
    detail?: string
    errors?: ProblemDetail[]
  }
  const seconds = Number(response.headers.get('retry-after'))
  return new HubError(
    problem.code ?? `http-${response.status}`,
    response.status,
    problem.detail ?? `The server answered ${response.status}.`,
    { retryAfter: seconds > 0 ? seconds * 1_000 : undefined, errors: problem.errors },
  )
}

/**
 * Throws an error that no listener takes, in a task of its own: as an uncaught error it reaches `window.onerror` or
 * ends the process, as the error of any other listener does.
 */
export function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error)
  else
    setTimeout(() => {
      throw error
    })
}
