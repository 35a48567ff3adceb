/** Sends requests to the hub. A refusal has the detail of the hub as its message. */
import { addressOf } from './address.js'
import { signOut, token } from './session.js'

/** The time limit of a request, in milliseconds. */
const TIMEOUT = 10_000

export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number

  /** @param status 0 if there was no answer */
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  /** Whether the hub would refuse the same request again. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE'
  query?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
  /** A token to use instead of the session's. */
  bearer?: string
}

/**
 * Sends a request. Signs out if the hub refuses the session's token (401).
 * @throws Refusal
 */
export async function call<Body>(
  path: string,
  { method = 'GET', query = {}, body, signal, bearer }: Call = {},
): Promise<Body> {
  const used = bearer ?? token.peek()
  const headers: Record<string, string> = { accept: 'application/json', authorization: `Bearer ${used ?? ''}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  const tooLong = AbortSignal.timeout(TIMEOUT)
  try {
    const response = await fetch(addressOf(path, query), {
      method,
      headers,
      signal: signal ? AbortSignal.any([signal, tooLong]) : tooLong,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw await refusalOf(response, used)
    return (response.status === 204 ? undefined : await response.json()) as Body
  } catch (err) {
    if (err instanceof Refusal || signal?.aborted) throw err
    throw new Refusal(0, tooLong.aborted ? 'The hub does not answer.' : 'The hub cannot be reached.')
  }
}

/**
 * Returns the refusal in a response (RFC 9457). Signs out after a 401 for the session's token.
 * @param used the token of the request, which may be that of an earlier session
 */
async function refusalOf(response: Response, used: string | undefined): Promise<Refusal> {
  const problem = (await response.json().catch(() => ({}))) as { detail?: string }
  const message = problem.detail ?? `The hub answered ${response.status}.`
  if (response.status === 401 && used !== undefined && used === token.peek()) signOut(message)
  return new Refusal(response.status, message)
}

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
