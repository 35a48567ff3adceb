import { DEADLINE } from './deadline.js'
import type { Hub } from './process.js'

/** The answer to a request: its status, its headers and its body, which is parsed if it is JSON of any kind. */
export interface Answer<Body = unknown> {
  status: number
  headers: Headers
  body: Body
}

export interface Published {
  id: string
  topic: string
  duplicate: boolean
  subscribers: number
}

export interface StoredEvent {
  id: string
  topic: string
  type?: string
  time: string
  data?: unknown
  text?: string
}

export interface History {
  events: StoredEvent[]
  cursor: string
  more: boolean
  gap: null | { reason: string; oldest: string | null }
}

/** Sends a request and reads the whole answer. The answer to HEAD has no body. */
export async function request<Body = unknown>(url: string, init: RequestInit = {}): Promise<Answer<Body>> {
  const response = await fetch(url, init)
  const text = await response.text()
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    body: (isJson && text !== '' ? JSON.parse(text) : text) as Body,
  }
}

/** The credentials and the body of a request. */
export interface Sending {
  /** As `Authorization: Bearer`. */
  token?: string | undefined
  /** The token of a session's cookie. */
  session?: string | undefined
  origin?: string | undefined
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
}

/** Sends a request of any method to a hub. The answer must end: a stream fails it after a while. */
export async function send<Body = unknown>(
  { url }: { url: string },
  method: string,
  path: string,
  { token, session, origin, headers, body }: Sending = {},
): Promise<Answer<Body>> {
  return request<Body>(url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(session === undefined ? {} : { cookie: `theme=dark; fanfare_token=${session}` }),
      ...(origin === undefined ? {} : { origin }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(DEADLINE),
  })
}

/** Posts a body: a string or bytes unchanged, any other value as JSON. */
export async function post<Body = unknown>(
  url: string,
  body: unknown,
  token: string,
  headers: Record<string, string> = {},
): Promise<Answer<Body>> {
  return request<Body>(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body:
      typeof body === 'string' || body instanceof Uint8Array
        ? (body as string | Uint8Array<ArrayBuffer>)
        : JSON.stringify(body),
  })
}

/**
 * Publishes one event.
 * @throws if the hub refuses the event
 */
export async function publish(hub: Hub, topic: string, event: object, token: string): Promise<Published> {
  const answer = await post<Published>(`${hub.url}/topics/${encodeURIComponent(topic)}/events`, event, token)
  if (answer.status >= 300) throw new Error(`publishing to ${topic}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body
}

/**
 * Publishes several events at once.
 * @throws if the hub refuses the events
 */
export async function publishBatch(hub: Hub, events: object[], token: string): Promise<Published[]> {
  const answer = await post<{ events: Published[] }>(`${hub.url}/events`, { events }, token)
  if (answer.status !== 201) throw new Error(`publishing a batch: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body.events
}

/** Returns a page of history. `query` as in the API: `after`, `limit`, `last`. */
export async function history(hub: Hub, topic: string, query: string, token: string): Promise<Answer<History>> {
  return request<History>(`${hub.url}/topics/${encodeURIComponent(topic)}/events?${query}`, {
    headers: { accept: 'application/json', authorization: `Bearer ${token}` },
  })
}
