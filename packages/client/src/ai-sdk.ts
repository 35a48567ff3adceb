/**
 * A transport for `useChat` of the AI SDK: the answer is a finite topic of the hub, so it survives a reload, and every
 * tab can read it. The types are those of the package `ai`, which needs a newer Node.js than this package.
 */
import type { Hub } from './connect.js'
import { HubError, isFinal, report } from './errors.js'
import { Answer } from './finite/answer.js'
import { pathOfTopic } from './finite/path.js'
import { insist } from './insist.js'

/** What a chat sends with each request. */
export interface ChatRequestOptions {
  headers?: Record<string, string> | Headers
  body?: object
  metadata?: unknown
}

export interface SendMessagesOptions<Message> extends ChatRequestOptions {
  trigger: 'submit-message' | 'regenerate-message'
  chatId: string
  messageId: string | undefined
  messages: Message[]
  abortSignal: AbortSignal | undefined
}

export interface ReconnectOptions extends ChatRequestOptions {
  chatId: string
  abortSignal?: AbortSignal
}

export interface ChatTransport<Message, Chunk> {
  /** A resumed answer begins from its start. */
  readonly resumeStreamIsReplay: true
  /** Sends the messages to the application, and returns the chunks of the answer. */
  sendMessages: (options: SendMessagesOptions<Message>) => Promise<ReadableStream<Chunk>>
  /** Returns the chunks of the answer that the chat has now, from the start; `null`: there is none. */
  reconnectToStream: (options: ReconnectOptions) => Promise<ReadableStream<Chunk> | null>
}

export interface ChatTransportOptions {
  /**
   * The application's endpoint. `POST` takes the messages, and answers `{ "stream": "<topic>" }` once the topic exists.
   * `GET <api>/<chat>/stream` names the newest answer of a chat, or answers 204. Default: `/api/chat`.
   */
  api?: string
  /** Headers of the requests to the application, or a function that returns them. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
  /** Further members of the body of `POST`. */
  body?: object
  /** Default: `same-origin`. */
  credentials?: RequestCredentials
  /** Replaces the global `fetch` for the requests to the application. */
  fetch?: typeof fetch
  /**
   * What `stop` of a chat does. `cancel` (default): ends the answer for all. `leave`: ends the reading only. `cancel`
   * needs a `publish` grant for the topic, or its `createdBy` is the subject of the token.
   */
  stop?: 'cancel' | 'leave'
}

/** How the application names an answer. */
interface Named {
  stream?: string | null
}

/**
 * Returns a transport that reads answers with a hub's client.
 * @param hub as `connect` returns it; its token needs a `subscribe` grant for the topics
 */
// `any`: the types of messages and chunks belong to the package `ai`, and the caller's context infers them
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function createChatTransport<Message = any, Chunk = any>(
  hub: Hub,
  options: ChatTransportOptions = {},
): ChatTransport<Message, Chunk> {
  return new Transport<Message, Chunk>(hub, options)
}

class Transport<Message, Chunk> implements ChatTransport<Message, Chunk> {
  readonly resumeStreamIsReplay = true
  readonly #hub: Hub
  readonly #options: ChatTransportOptions
  readonly #api: string
  /** The newest reconnect of each chat. */
  readonly #reconnects = new Map<string, object>()

  constructor(hub: Hub, options: ChatTransportOptions) {
    this.#hub = hub
    this.#options = options
    this.#api = options.api ?? '/api/chat'
  }

  readonly sendMessages = async (asked: SendMessagesOptions<Message>): Promise<ReadableStream<Chunk>> => {
    const { chatId, messages, trigger, messageId, abortSignal, headers, body } = asked
    const sent = { ...this.#options.body, ...body, id: chatId, messages, trigger, messageId }
    const naming = this.#ask(this.#api, { method: 'POST', body: JSON.stringify(sent) }, headers)
    this.#stopOnAbort(chatId, naming, abortSignal)
    const topic = await unlessAborted(naming, abortSignal)
    if (topic === null) throw new Error(`${this.#api} has named no stream: it must answer { "stream": "<topic>" }.`)
    await unlessAborted(this.#exists(topic), abortSignal)
    return this.#read(topic, abortSignal)
  }

  readonly reconnectToStream = async (asked: ReconnectOptions): Promise<ReadableStream<Chunk> | null> => {
    const { chatId, abortSignal, headers } = asked
    this.#reconnects.set(chatId, {})
    const naming = this.#ask(pathBelow(this.#api, `${encodeURIComponent(chatId)}/stream`), { method: 'GET' }, headers)
    this.#stopOnAbort(chatId, naming, abortSignal)
    const topic = await unlessAborted(naming, abortSignal)
    if (topic === null || !(await unlessAborted(this.#exists(topic, true), abortSignal))) return null
    return this.#read(topic, abortSignal)
  }

  /** Asks the application for the topic of an answer; `null`: there is none. */
  async #ask(url: string, init: RequestInit, more: ChatRequestOptions['headers']): Promise<string | null> {
    const { headers, credentials, fetch: send = fetch } = this.#options
    const merged = new Headers(typeof headers === 'function' ? await headers() : headers)
    if (init.body !== undefined) merged.set('content-type', 'application/json')
    for (const [name, value] of new Headers(more)) merged.set(name, value)
    const response = await send(url, { ...init, ...(credentials && { credentials }), headers: merged })
    const text = await response.text()
    if (!response.ok) throw new Error(text || `${url} has answered ${response.status}.`)
    if (response.status === 204) return null
    try {
      return (JSON.parse(text) as Named).stream ?? null
    } catch (cause) {
      throw new Error(`${url} has named no stream: its answer is no JSON.`, { cause })
    }
  }

  /**
   * Checks that a topic exists: the topic of a wrong name would stay silent.
   * @returns `false`: it does not exist, and may be missing
   * @throws HubError
   */
  async #exists(topic: string, mayBeMissing = false): Promise<boolean> {
    try {
      await insist((timeout) => this.#hub.request('HEAD', `streams/${pathOfTopic(topic)}`, { timeout }))
      return true
    } catch (error) {
      if (!(error instanceof HubError) || error.status !== 404) throw error
      if (mayBeMissing) return false
      throw new HubError('stream-not-found', 404, `There is no finite topic "${topic}".`, { cause: error })
    }
  }

  #read(topic: string, signal: AbortSignal | undefined): ReadableStream<Chunk> {
    return new ReadableStream(new Answer<Chunk>(this.#hub, topic, signal))
  }

  /** Ends the answer when a chat is stopped. */
  #stopOnAbort(chatId: string, naming: Promise<string | null>, signal: AbortSignal | undefined): void {
    if (this.#options.stop === 'leave') return
    const stop = (): void => {
      const newest = this.#reconnects.get(chatId)
      queueMicrotask(() => {
        // a chat that reconnects at once was not stopped: React's StrictMode mounts a chat twice
        if (this.#reconnects.get(chatId) !== newest) return
        naming.then(
          (topic) => (topic === null ? undefined : this.#cancel(topic)),
          () => undefined, // the chat has the error
        )
      })
    }
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
  }

  async #cancel(topic: string): Promise<void> {
    try {
      await insist((timeout) => this.#hub.request('POST', `streams/${pathOfTopic(topic)}/cancel`, { timeout }))
    } catch (error) {
      // an answer that is gone needs no stop; any other failure must not stay unseen
      if (!isFinal(error) || error.status !== 404) report(error)
    }
  }
}

/** Returns the URL of a path below an endpoint, before its query. */
function pathBelow(api: string, path: string): string {
  const [, base = '', rest = ''] = /^([^?#]*?)\/?([?#].*)?$/.exec(api) ?? []
  return `${base}/${path}${rest}`
}

/** Resolves as a promise, or rejects as soon as a signal is aborted. */
function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
