/** Sends a request that is not for a stream: with a time limit, and with JSON in both directions. */
import { unreachable } from './errors.js'
import type { Init, Send } from './http.js'
import type { HubRequest } from './types.js'

/** The time limit of a request, in milliseconds. */
export const TIME_LIMIT = 15_000

/** An answer whose body has been read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Sends a request with a time limit, and reads the answer. @throws HubError */
export async function exchange(
  send: Send,
  path: string,
  init: Omit<Init, 'signal'>,
  { signal, timeout = TIME_LIMIT }: Pick<HubRequest, 'signal' | 'timeout'> = {},
): Promise<Answer> {
  // Not `AbortSignal.any`, which browsers of 2023 lack, and whose result Node.js 20 may collect as garbage.
  const limit = new AbortController()
  const abort = (): void => limit.abort()
  const timer = setTimeout(abort, timeout)
  signal?.addEventListener('abort', abort)
  try {
    signal?.throwIfAborted()
    const response = await send(path, { ...init, signal: limit.signal })
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(cause)
    })
    return { status: response.status, headers: response.headers, text }
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** Sends a request with JSON, and returns the parsed body. @throws HubError */
export async function sendRequest<Body>(
  send: Send,
  method: string,
  path: string,
  { body, headers, ...limits }: HubRequest,
): Promise<Body> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  const { text } = await exchange(
    send,
    path,
    { method, headers: { accept: 'application/json', ...json, ...headers }, body: JSON.stringify(body) },
    limits,
  )
  return (text === '' ? undefined : JSON.parse(text)) as Body
}
