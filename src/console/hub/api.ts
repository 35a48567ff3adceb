/** Requests to the hub, and its refusals in its own words. */
import { addressOf } from './address.js'
import { signOut, token } from './session.js'

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000

export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number

  /** @param status 0: there was no answer */
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  /** Whether the hub would say the same again. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE'
  query?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
  /** Instead of the one that is signed in with. */
  bearer?: string
}

/**
 * Asks the hub for something. A token that the hub does not accept (401) signs out.
 * @throws Refusal
 */
export async function call<Body>(
  path: string,
  { method = 'GET', query = {}, body, signal, bearer }: Call = {},
): Promise<Body> {
  const headers: Record<string, string> = {
    accept: 'application/json',
    authorization: `Bearer ${bearer ?? token.value ?? ''}`,
  }
  if (body !== undefined) headers['content-type'] = 'application/json'
  const tooLong = AbortSignal.timeout(PATIENCE)
  try {
    const response = await fetch(addressOf(path, query), {
      method,
      headers,
      signal: signal ? AbortSignal.any([signal, tooLong]) : tooLong,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw await refusalOf(response, bearer === undefined)
    return (response.status === 204 ? undefined : await response.json()) as Body
  } catch (err) {
    if (err instanceof Refusal || signal?.aborted) throw err
    throw new Refusal(0, tooLong.aborted ? 'The hub does not answer.' : 'The hub cannot be reached.')
  }
}

/** What the hub said when it refused something (RFC 9457). */
export async function refusalOf(response: Response, isSignedIn: boolean): Promise<Refusal> {
  const problem = (await response.json().catch(() => ({}))) as { detail?: string }
  const message = problem.detail ?? `The hub answered ${response.status}.`
  if (response.status === 401 && isSignedIn) signOut(message)
  return new Refusal(response.status, message)
}

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
