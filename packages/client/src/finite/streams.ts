/** The requests for finite topics (Durable Streams), whose messages are JSON. */
import { HubError } from '../errors.js'
import { createHttp, refusalOf, type Http } from '../http.js'
import { exchange, type Answer } from '../request.js'
import type { Provided } from '../types.js'

/** How to reach the hub. */
export interface HubAccess {
  /** The URL of the hub, with its prefix. */
  url: string
  /** The token, or a function that returns it. It needs `publish` and `subscribe` grants for the topics. */
  token?: Provided
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch
}

/** How a finite topic has ended. */
export type EndStatus = 'done' | 'error' | 'cancelled' | 'expired'

/** The producer of an append, by which the hub recognises a repetition (Durable Streams, 5.2.1). */
export interface Producer {
  id: string
  epoch: number
  seq: number
}

export interface Append {
  messages: readonly unknown[]
  producer?: Producer | undefined
  /** Ends the topic together with the append. */
  end?: 'done' | 'error' | undefined
  /** In seconds: the topic ends with `error` if no append follows within this time. */
  lease?: number | undefined
  /** The append is refused unless its order sorts after that of each earlier append. */
  order?: string | undefined
}

/** Limits of a request. */
type Limits = Parameters<typeof exchange>[3]

/** The content type of all topics here. */
const JSON_TYPE = 'application/json'

export class FiniteStreams {
  readonly #http: Http

  constructor({ url, token, fetch }: HubAccess) {
    this.#http = createHttp(url, { ...(token !== undefined && { token }), ...(fetch && { fetch }) })
  }

  /**
   * Creates a topic. A topic that exists stays as it is.
   * @param ttl in seconds; default: that of the hub
   * @throws HubError
   */
  async create(path: string, ttl: number | undefined, limits?: Limits): Promise<void> {
    const headers = { 'content-type': JSON_TYPE, ...(ttl !== undefined && { 'stream-ttl': String(ttl) }) }
    try {
      await this.#ask('PUT', path, { headers }, limits)
    } catch (error) {
      if (!hasCode(error, 'stream-exists')) throw error
    }
  }

  /**
   * Appends messages, ends the topic, or both.
   * @returns the offset after the newest message
   * @throws HubError
   */
  async append(path: string, { messages, producer, end, lease, order }: Append, limits?: Limits): Promise<string> {
    const headers = {
      ...(messages.length > 0 && { 'content-type': JSON_TYPE }),
      ...(producer && {
        'producer-id': producer.id,
        'producer-epoch': String(producer.epoch),
        'producer-seq': String(producer.seq),
      }),
      ...(end && { 'stream-closed': 'true', 'fanfare-status': end }),
      ...(lease !== undefined && { 'fanfare-lease': `${lease}s` }),
      ...(order !== undefined && { 'stream-seq': order }),
    }
    const body = messages.length > 0 ? { body: JSON.stringify(messages) } : {}
    const answer = await this.#ask('POST', path, { headers, ...body }, limits)
    return answer.headers.get('stream-next-offset') ?? ''
  }

  /** Ends a topic with `cancelled`. A topic that has ended stays as it is. @throws HubError */
  async cancel(path: string, limits?: Limits): Promise<void> {
    await this.#ask('POST', `${path}/cancel`, { headers: {} }, limits)
  }

  /** Returns the state of a topic; `undefined`: there is none. @throws HubError */
  async status(path: string, limits?: Limits): Promise<'open' | EndStatus | undefined> {
    try {
      const { headers } = await this.#ask('HEAD', path, { headers: {} }, limits)
      return (headers.get('fanfare-status') as EndStatus | null) ?? 'open'
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** Deletes a topic, if there is one. @throws HubError */
  async delete(path: string, limits?: Limits): Promise<void> {
    try {
      await this.#ask('DELETE', path, { headers: {} }, limits)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  /**
   * Reads the messages after an offset that the topic has now.
   * @returns also the offset after them, and whether there are more
   * @throws HubError
   */
  async page(path: string, offset: string): Promise<{ messages: unknown[]; next: string; isLast: boolean }> {
    const { headers, text } = await this.#ask('GET', `${path}?offset=${offset}`, { headers: {} })
    return {
      messages: JSON.parse(text) as unknown[],
      next: headers.get('stream-next-offset') ?? offset,
      isLast: headers.get('stream-up-to-date') === 'true',
    }
  }

  /** Opens an event stream of the messages after an offset. @throws HubError */
  async open(path: string, offset: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = { accept: 'text/event-stream' }
    const response = await this.#http.send(`streams/${path}?offset=${offset}&live=sse`, { headers, signal })
    if (response.body && response.headers.get('content-type')?.startsWith('text/event-stream')) return response.body
    throw await refusalOf(this.#http.url, response)
  }

  #ask(
    method: string,
    path: string,
    init: { headers: Record<string, string>; body?: string },
    limits?: Limits,
  ): Promise<Answer> {
    return exchange(this.#http.send, `streams/${path}`, { method, ...init }, limits)
  }
}

/** Whether the hub has refused a request with one of the codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof HubError && codes.includes(error.code)
}

/** Whether an error means that there is no such topic. The answer to HEAD has no body, so its code is the status. */
export function isMissing(error: unknown): boolean {
  return error instanceof HubError && (error.status === 404 || error.status === 410)
}
