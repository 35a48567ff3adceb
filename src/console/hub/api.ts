/** Requests to the hub, and its refusals in its own words. */
import { addressOf } from './address.js'
import { signOut, token } from './session.js'

export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number

  /** @param status 0: there was no answer */
  constructor(status: number, message: string) {
    super(message)
    this.status = status
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
export async function call<Body>(path: string, { method = 'GET', query = {}, body, signal, bearer }: Call = {}): Promise<Body> {
  const headers: Record<string, string> = { accept: 'application/json', authorization: `Bearer ${bearer ?? token.value ?? ''}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  const response = await fetch(addressOf(path, query), { method, headers, signal: signal ?? null, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }).catch((err: unknown) => {
    throw signal?.aborted ? err : new Refusal(0, 'The hub cannot be reached.')
  })
  if (!response.ok) throw await refusalOf(response, bearer === undefined)
  return (response.status === 204 ? undefined : await response.json()) as Body
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
