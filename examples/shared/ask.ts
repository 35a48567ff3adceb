/** Requests of a page to the example's server. */

/**
 * The time limit of an answer, in milliseconds. It is longer than an example's server waits for the hub, so that the
 * server can report a timeout itself.
 */
const LIMIT = 10_000

/**
 * Posts JSON and returns the body of the answer.
 * @param key the header `Idempotency-Key`: the server stores repeated requests with the same key once
 * @throws Error with the reason for the user
 */
export async function ask<Answer = unknown>(
  url: string,
  body?: unknown,
  { method = 'POST', key }: { method?: string; key?: string } = {},
): Promise<Answer> {
  const headers = new Headers({ accept: 'application/json' })
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (key !== undefined) headers.set('idempotency-key', key)
  const signal = AbortSignal.timeout(LIMIT)
  const response = await fetch(url, {
    method,
    headers,
    signal,
    body: body === undefined ? null : JSON.stringify(body),
  }).catch(() => {
    throw new Error(signal.aborted ? 'The server does not answer.' : 'The server cannot be reached.')
  })
  const answer: unknown = await response.json().catch(() => undefined) // 204 has none
  if (response.ok) return answer as Answer
  const { message } = (answer ?? {}) as { message?: string }
  throw new Error(message ?? `The server answered ${response.status}.`)
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
      .catch((error: unknown) => void (alert.textContent = messageOf(error)))
      .finally(() => void (isBusy = false))
  })
}

/** Returns the words of an error for the user. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Returns the id of a draft: the same for each attempt to send it, so that it is stored once. */
export function createDraftId(): (draft: string) => string {
  let last = { draft: '', id: '' }
  return (draft) => {
    if (draft !== last.draft) last = { draft, id: crypto.randomUUID() }
    return last.id
  }
}
