/** Reads refusals of the hub (problem details, RFC 9457). */
import { HubError, type ProblemDetail } from './errors.js'

/**
 * Returns the refusal in an answer. A successful answer is refused because it is no event stream.
 * @param url the hub's URL
 */
export async function readRefusal(url: string, response: Response): Promise<HubError> {
  const { status, ok, headers } = response
  if (ok) return new HubError('not-a-hub', 404, `${url} is no hub: it sends no event stream.`)
  const problem = (await response.json().catch(() => ({}))) as {
    code?: string
    detail?: string
    errors?: ProblemDetail[]
  }
  const seconds = Number(headers.get('retry-after'))
  return new HubError(problem.code ?? `http-${status}`, status, problem.detail ?? `The server answered ${status}.`, {
    retryAfter: seconds > 0 ? seconds * 1_000 : undefined,
    errors: problem.errors,
  })
}
