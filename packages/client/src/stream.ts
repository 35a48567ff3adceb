/** Opens one event stream and reads it to its end: over `fetch`, or over the browser's EventSource. */
import { HubError } from './errors.js'
import type { Http } from './http.js'
import { later } from './later.js'
import { createParser, type Block } from './parser.js'

export type Query = Record<string, string | readonly string[] | undefined>

export interface StreamListeners {
  onBlock(block: Block): void
  /** @param retry in milliseconds */
  onRetry(retry: number): void
  /** Called for each piece of the stream, before its blocks. */
  onActivity(): void
}

/** Thrown if the hub answers 204: every topic of the stream is complete, and no event follows. */
export class Complete extends Error {}

/** Whether streams are read with the browser's EventSource, which sends no header. */
function usesEventSource({ options: { transport } }: Http): boolean {
  return transport === undefined ? !('body' in Response.prototype) : transport === 'event-source'
}

/**
 * Reads a stream until it ends. Rejects if the connection is cut.
 * @throws HubError if the hub refuses the stream or cannot be reached; Complete
 */
export async function readStream(
  http: Http,
  query: Query,
  signal: AbortSignal,
  listeners: StreamListeners,
): Promise<void> {
  const path = await streamPath(http, query)
  if (usesEventSource(http)) {
    const { readEventSource } = await later(() => import('./event-source.js'))
    return readEventSource(http, path, signal, listeners)
  }
  const reader = (await openBody(http, path, signal)).getReader()
  const decoder = new TextDecoder()
  const parse = createParser(listeners.onBlock, listeners.onRetry)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    listeners.onActivity()
    parse(decoder.decode(value, { stream: true }))
  }
}

/** Returns the path of a stream, with a new ticket if the application provides tickets. */
export async function streamPath(http: Http, query: Query): Promise<string> {
  const path = new URLSearchParams({ format: 'json' })
  for (const [name, value] of Object.entries(query)) for (const one of [value ?? []].flat()) path.append(name, one)
  const ticket = await http.options.tickets?.()
  if (ticket !== undefined) path.set('ticket', ticket)
  return `events?${path}`
}

/** @throws HubError, Complete */
export async function openBody(http: Http, path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { status, body, headers } = await http.open(path, signal)
  if (status === 204) throw new Complete()
  if (!body || !headers.get('content-type')?.startsWith('text/event-stream'))
    throw new HubError('not-a-hub', 404, `${http.url} is no hub: it sends no event stream.`)
  return body
}
