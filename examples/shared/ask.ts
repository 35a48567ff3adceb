/** Sends JSON requests from a page. */

export interface Question {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** The header `Idempotency-Key`: the server stores repeated requests with the same key once. */
  key?: string
  /** For the header `Authorization`. */
  token?: string
  /** `include`: cookies are sent and stored even if the server's origin differs from the page's. */
  credentials?: RequestCredentials
}

/** A refusal of the server. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * The time limit of an answer, in milliseconds. It is longer than an example's server waits for the hub, so that the
 * server can report a timeout itself.
 */
const LIMIT = 10_000

/**
 * Sends a request and returns the body of the answer.
 * @throws Refusal with the reason for the user; Error if the server is unreachable, or does not answer in time
 */
export async function ask<Answer = unknown>(
  url: string,
  { method = 'POST', body, key, token, credentials = 'same-origin' }: Question = {},
): Promise<Answer> {
  const headers = new Headers({ accept: 'application/json' })
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (key !== undefined) headers.set('idempotency-key', key)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const signal = AbortSignal.timeout(LIMIT)
  const response = await fetch(url, {
    method,
    headers,
    credentials,
    signal,
    body: body === undefined ? null : JSON.stringify(body),
  }).catch(() => {
    throw new Error(signal.aborted ? 'The server does not answer.' : 'The server cannot be reached.')
  })
  const answer: unknown = await response.json().catch(() => undefined) // 204 has none
  if (response.ok) return answer as Answer
  // the hub's problem details (RFC 9457), or Fastify's error from the example's server
  const { detail, message } = (answer ?? {}) as { detail?: string; message?: string }
  throw new Refusal(response.status, detail ?? message ?? `The server answered ${response.status}.`)
}

/**
 * Handles the submission of a form, one at a time. After a failure the form shows the reason in its element with
 * `role="alert"`, and keeps its input.
 */
export function onSubmit(form: HTMLFormElement, send: () => Promise<void>): void {
  const alert = form.querySelector<HTMLElement>('[role="alert"]')!
  let isBusy = false
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (isBusy) return
    isBusy = true
    alert.textContent = ''
    send()
      .catch((err: unknown) => void (alert.textContent = err instanceof Error ? err.message : String(err)))
      .finally(() => void (isBusy = false))
  })
}
