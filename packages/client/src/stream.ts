/** Opens one event stream and reads it to its end: over `fetch`, or over the browser's EventSource. */
import { refusalOf, type Http } from './http.js'
import { later } from './later.js'
import { createParser, type Block } from './parser.js'

/** The parameters of a stream. Those that are `undefined` are left out. */
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>

export interface StreamListeners {
  onBlock(block: Block): void
  /** @param retry in milliseconds */
  onRetry(retry: number): void
  /** Called for each piece of the stream, before its blocks. */
  onActivity(): void
}

/** Whether streams are read with the browser's EventSource, which sends no header. */
function usesEventSource({ options }: Http): boolean {
  const { transport = 'body' in Response.prototype ? 'fetch' : 'event-source' } = options
  return transport === 'event-source'
}

/**
 * Reads a stream until it ends. Rejects if the connection is cut.
 * @returns whether every topic of the stream is complete (204): no event follows
 * @throws HubError if the hub refuses the stream or cannot be reached
 */
export async function readStream(
  http: Http,
  query: Query,
  signal: AbortSignal,
  listeners: StreamListeners,
): Promise<boolean> {
  const path = await streamPath(http, query)
  if (usesEventSource(http)) {
    const { readEventSource } = await later(() => import('./event-source.js'))
    return readEventSource(http, path, signal, listeners)
  }
  const body = await openBody(http, path, signal)
  if (!body) return true
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const parse = createParser(listeners.onBlock, listeners.onRetry)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return false
    listeners.onActivity()
    parse(decoder.decode(value, { stream: true }))
  }
}

/** Returns the path of a stream, with a new ticket if the application provides tickets. */
export async function streamPath(http: Http, query: Query): Promise<string> {
  const path = new URLSearchParams({ format: 'json' })
  for (const [name, value] of Object.entries(query))
    for (const one of [value ?? []].flat()) path.append(name, String(one))
  const ticket = await http.options.tickets?.()
  if (ticket !== undefined) path.set('ticket', ticket)
  return `events?${path}`
}

/** Returns the body of a stream; `undefined`: every topic is complete. @throws HubError */
export async function openBody(
  http: Http,
  path: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array> | undefined> {
  const response = await http.open(path, signal)
  if (response.status === 204) return undefined
  if (response.body && response.headers.get('content-type')?.startsWith('text/event-stream')) return response.body
  throw await refusalOf(http.url, response)
}
