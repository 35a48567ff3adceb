/** Asking a server something from a page, in JSON. */

export interface Question {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** For the header `Idempotency-Key`: what is sent again under the same key is there once. */
  key?: string
  /** For the header `Authorization`. */
  token?: string
  /** `include`: cookies are sent and taken, also where the server has another origin than the page. */
  credentials?: RequestCredentials
}

/** The server's answer was no. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * How long an answer may take, in milliseconds: longer than an example's server waits for the hub, so that it can say
 * so itself.
 */
const LIMIT = 10_000

/**
 * Answers what the server does.
 * @throws Refusal that says in a person's words why; Error when nobody was there, or nobody answered in time
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
  // RFC 9457 of the hub, Fastify's own of the example's server
  const { detail, message } = (answer ?? {}) as { detail?: string; message?: string }
  throw new Refusal(response.status, detail ?? message ?? `The server answered ${response.status}.`)
}

/**
 * What a form does when it is submitted. Why it failed is shown in its element with `role="alert"`, and what was typed
 * stays; it is submitted once at a time.
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
