/** Requests to the hub, with the token. */
import { HubError, refusalOf, UNREACHABLE } from './errors.js'
import { createTokenSource, type TokenSource } from './token.js'
import type { ConnectOptions, HubRequest } from './types.js'

/** The time limit of a request that is not a stream, in milliseconds. */
export const TIME_LIMIT = 15_000

export interface Http {
  /** The hub's URL, with a slash at the end. */
  readonly url: string
  readonly tokens: TokenSource
  readonly options: ConnectOptions
  /**
   * Sends a request with a time limit, and returns the parsed body.
   * @throws HubError
   */
  request<Body>(method: string, path: string, request?: HubRequest): Promise<Body>
  /**
   * Asks for a stream. It has no time limit.
   * @throws HubError
   */
  open(path: string, signal: AbortSignal): Promise<Response>
}

export function createHttp(address: string, options: ConnectOptions): Http {
  const base = (globalThis as { document?: Document }).document?.baseURI
  const url = new URL(address, base).href.replace(/\/*([?#].*)?$/, '/')
  const tokens = createTokenSource(options.token)

  /** Sends a request. After a 401 it is repeated once, with another token. */
  async function send(
    method: string,
    path: string,
    accept: string,
    signal: AbortSignal,
    { body, headers }: HubRequest = {},
    bearer?: string,
  ): Promise<Response> {
    const used = bearer ?? (await tokens.get())
    let response: Response
    try {
      response = await (options.fetch ?? fetch)(url + path, {
        method,
        signal,
        cache: 'no-store',
        credentials: options.cookies ? 'include' : 'same-origin',
        headers: {
          accept,
          ...(used && { authorization: `Bearer ${used}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    } catch (cause) {
      throw unreachable(cause)
    }
    if (response.ok) return response
    const other = response.status === 401 && bearer === undefined ? await tokens.get(used) : used
    if (other !== used) return send(method, path, accept, signal, { body, headers: headers ?? {} }, other)
    throw await refusalOf(response)
  }

  return {
    url,
    tokens,
    options,
    open: (path, signal) => send('GET', path, 'text/event-stream', signal),
    async request<Body>(method: string, path: string, request: HubRequest = {}) {
      // Not `AbortSignal.any`, which browsers of 2023 lack, and whose result Node.js 20 may collect as garbage.
      const limit = new AbortController()
      const abort = (): void => limit.abort()
      const timer = setTimeout(abort, request.timeout ?? TIME_LIMIT)
      request.signal?.addEventListener('abort', abort)
      try {
        request.signal?.throwIfAborted()
        const response = await send(method, path, 'application/json', limit.signal, request)
        const text = await response.text().catch((cause: unknown) => {
          throw unreachable(cause)
        })
        return (text === '' ? undefined : JSON.parse(text)) as Body
      } catch (error) {
        request.signal?.throwIfAborted()
        throw error
      } finally {
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', abort)
      }
    },
  }
}

function unreachable(cause: unknown): HubError {
  return new HubError(UNREACHABLE, 0, 'The hub cannot be reached.', { cause })
}
