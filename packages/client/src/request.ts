/** Sends a request that is not for a stream: with a time limit, and with JSON in both directions. */
import { unreachable } from './errors.js'
import type { Send } from './http.js'
import type { HubRequest } from './types.js'

/** The time limit of a request, in milliseconds. */
export const TIME_LIMIT = 15_000

/** Returns the parsed body. @throws HubError */
export async function sendRequest<Body>(
  send: Send,
  method: string,
  path: string,
  { body, headers, signal, timeout = TIME_LIMIT }: HubRequest,
): Promise<Body> {
  // Not `AbortSignal.any`, which browsers of 2023 lack, and whose result Node.js 20 may collect as garbage.
  const limit = new AbortController()
  const abort = (): void => limit.abort()
  const timer = setTimeout(abort, timeout)
  signal?.addEventListener('abort', abort)
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  try {
    signal?.throwIfAborted()
    const response = await send(path, {
      method,
      signal: limit.signal,
      headers: { accept: 'application/json', ...json, ...headers },
      body: JSON.stringify(body),
    })
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(cause)
    })
    return (text === '' ? undefined : JSON.parse(text)) as Body
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
