/** Reads a stream with the browser's EventSource, where bodies of `fetch` cannot be read as streams. */
import type { Http } from './http.js'
import { openBody, type StreamListeners } from './stream.js'

/** The hub's own blocks with a type. An EventSource needs a listener for each. */
const TYPES = ['open', 'gap', 'live', 'heartbeat', 'close', 'end'].map((name) => `fanfare.${name}`)

/**
 * Resolves when the stream has ended. EventSource tells no reason of a refusal, so a stream that has never opened is
 * asked for once more with `fetch`.
 * @returns whether every topic of the stream is complete (204)
 * @throws HubError
 */
export async function readEventSource(
  http: Http,
  path: string,
  signal: AbortSignal,
  { onBlock, onActivity }: StreamListeners,
): Promise<boolean> {
  const { cookies = false } = http.options
  const source = new EventSource(http.url + path + (await ticketFor(http)), { withCredentials: cookies })
  let hasOpened = false as boolean // set by a listener
  await new Promise<void>((resolve) => {
    source.onopen = () => {
      hasOpened = true
      onActivity()
    }
    source.onerror = () => resolve() // the client reconnects by itself, with another ticket
    signal.addEventListener('abort', () => resolve())
    const listen = ({ type, lastEventId, data }: MessageEvent<string>): void => {
      onActivity()
      onBlock({ ...(lastEventId && { id: lastEventId }), ...(type !== 'message' && { event: type }), data })
    }
    for (const type of ['message', ...TYPES]) source.addEventListener(type, listen)
  })
  source.close()
  if (hasOpened) return false
  const asking = new AbortController()
  try {
    return !(await openBody(http, path, asking.signal))
  } finally {
    asking.abort()
  }
}

/** Returns a query with a new ticket if there is a token, since an EventSource sends no header. @throws HubError */
async function ticketFor({ options, tokens, request }: Http): Promise<string> {
  if (options.tickets || (await tokens.get()) === undefined) return ''
  const { ticket } = await request<{ ticket: string }>('POST', 'tickets')
  return `&ticket=${encodeURIComponent(ticket)}`
}
