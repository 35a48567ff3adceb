/** Requests to the hub, with the token. */
import { unreachable, type HubError } from './errors.js'
import { later } from './later.js'
import { createTokenSource, type TokenSource } from './token.js'
import type { ConnectOptions, HubRequest } from './types.js'

export interface Http {
  /** The hub's URL, with a slash at the end. */
  readonly url: string
  readonly tokens: TokenSource
  readonly options: ConnectOptions
  readonly send: Send
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

export interface Init {
  method?: string
  headers: Record<string, string>
  body?: string
  signal: AbortSignal
}

/** Sends a request with the token, without a time limit. @throws HubError */
export type Send = (path: string, init: Init) => Promise<Response>

export function createHttp(address: string, options: ConnectOptions): Http {
  const base = (globalThis as { document?: Document }).document?.baseURI
  const url = new URL(address, base).href.replace(/\/*([?#].*)?$/, '/')
  const tokens = createTokenSource(options.token)

  /** After a 401 the request is repeated once, with another token. */
  const send: Send = async (path, init) => {
    const ask = async (token: string | undefined): Promise<Response> => {
      try {
        return await (options.fetch ?? fetch)(url + path, {
          cache: 'no-store',
          ...(options.cookies && { credentials: 'include' }),
          ...init,
          headers: { ...(token && { authorization: `Bearer ${token}` }), ...init.headers },
        })
      } catch (cause) {
        throw unreachable(cause)
      }
    }
    const used = await tokens.get()
    let response = await ask(used)
    if (response.status === 401) {
      const other = await tokens.get(used)
      if (other !== used) response = await ask(other)
    }
    if (response.ok) return response
    throw await refusalOf(url, response)
  }

  return {
    url,
    tokens,
    options,
    send,
    open: (path, signal) => send(path, { signal, headers: { accept: 'text/event-stream' } }),
    async request(method, path, request = {}) {
      const { sendRequest } = await later(() => import('./request.js'))
      return sendRequest(send, method, path, request)
    },
  }
}

/** Returns the refusal in an answer. @param url the hub's URL */
export async function refusalOf(url: string, response: Response): Promise<HubError> {
  const { readRefusal } = await later(() => import('./refusal.js'))
  return readRefusal(url, response)
}
