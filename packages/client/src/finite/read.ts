/** Reads the messages of a finite topic as they are appended, over all interruptions (Durable Streams, 5.8). */
import { backoff, delay } from '../backoff.js'
import { HubError, unreachable } from '../errors.js'
import { createParser, type Block } from '../parser.js'
import { isMissing, type EndStatus, type FiniteStreams } from './streams.js'
import { isMark } from './writer.js'

/** Messages that follow an offset. */
export interface Page {
  /** The offset before the messages. */
  after: string
  messages: readonly unknown[]
}

/** The data of a `control` event. */
interface Control {
  streamNextOffset: string
  streamClosed?: boolean
  fanfareStatus?: EndStatus
}

/** The wait after the first failure and the ceiling, in milliseconds. */
const RETRY = 250
const MAX_WAIT = 5_000
/** The silence after which a stream is opened again, in milliseconds. The hub sends a heartbeat every 15 s. */
const SILENCE = 45_000

/**
 * Reads all messages after an offset until the topic ends.
 * @param offset `-1`: the start
 * @param signal ends the reading, without an error
 * @returns how the topic has ended; `undefined`: the reading was ended, or the topic was deleted
 * @throws HubError a final refusal, such as `stream-not-found`
 */
export async function* readPages(
  streams: FiniteStreams,
  path: string,
  offset: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Page, EndStatus | undefined, undefined> {
  let after = offset
  let hasBegun = false
  for (let failures = 0; !signal?.aborted; failures++) {
    const stream = new MessageStream(streams, path, after, signal)
    const openedAt = performance.now()
    let wait = 0
    try {
      for await (const { page, control } of stream.blocks()) {
        hasBegun = true
        failures = -1
        if (page.length > 0) yield { after, messages: page }
        after = control.streamNextOffset
        if (control.streamClosed) return control.fanfareStatus ?? 'done'
      }
    } catch (error) {
      if (signal?.aborted) return undefined
      if (hasBegun && isMissing(error)) return undefined
      if (!(error instanceof HubError) || error.isFinal) throw error
      wait = error.retryAfter ?? 0
    } finally {
      stream.close()
    }
    // a stream that has sent something was ended for its age, and the next one follows at once
    const isEarly = performance.now() - openedAt < RETRY
    if (failures >= 0 || isEarly) await delay(wait || backoff(RETRY, Math.max(0, failures), MAX_WAIT), signal)
  }
  return undefined
}

/** A message, and the cursor behind it. */
export interface Entry {
  cursor: string
  message: unknown
}

/** Returns the cursor behind the message with a number, counted from 1, after an offset. */
export function cursorOf(offset: string, number: number): string {
  return `${offset}.${number}`
}

/**
 * Reads the messages after a cursor until the topic ends, as `readPages`, without the marks of writers.
 * @param cursor `''`, `-1`: the start
 * @throws TypeError if the cursor is none
 */
export async function* readMessages(
  streams: FiniteStreams,
  path: string,
  cursor: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, EndStatus | undefined, undefined> {
  const [, offset = '-1', number = '0'] = /^(?:(-1|\d{16})(?:\.(\d{1,9}))?)?$/.exec(cursor) ?? invalid(cursor)
  let known = Number(number)
  const pages = readPages(streams, path, offset, signal)
  try {
    for (;;) {
      const { done, value } = await pages.next()
      if (done) return value
      const { after, messages } = value
      for (const [i, message] of messages.entries())
        if (--known < 0 && !isMark(message)) yield { cursor: cursorOf(after, i + 1), message }
    }
  } finally {
    await pages.return(undefined)
  }
}

function invalid(cursor: string): never {
  throw new TypeError(`${JSON.stringify(cursor)} is no cursor of a finite topic.`)
}

/** One event stream. */
class MessageStream {
  readonly #streams: FiniteStreams
  readonly #path: string
  readonly #after: string
  readonly #outer: AbortSignal | undefined
  readonly #closing = new AbortController()
  #silence: ReturnType<typeof setTimeout> | undefined

  constructor(streams: FiniteStreams, path: string, after: string, signal: AbortSignal | undefined) {
    this.#streams = streams
    this.#path = path
    this.#after = after
    this.#outer = signal
    signal?.addEventListener('abort', this.close)
  }

  /** Yields the messages before each `control` event, and its data. @throws HubError */
  async *blocks(): AsyncGenerator<{ page: unknown[]; control: Control }, void, undefined> {
    const body = await this.#streams.open(this.#path, this.#after, this.#closing.signal)
    const ready: { page: unknown[]; control: Control }[] = []
    let page: unknown[] = []
    const parse = createParser(
      ({ event, data = '' }: Block) => {
        if (event === 'data') page.push(...(JSON.parse(data) as unknown[]))
        if (event !== 'control') return
        ready.push({ page, control: JSON.parse(data) as Control })
        page = []
      },
      () => undefined,
    )
    for await (const piece of this.#pieces(body)) {
      parse(piece)
      yield* ready.splice(0)
    }
  }

  /** Yields the text of a body as it comes. */
  async *#pieces(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
    const reader = body.getReader()
    const decoder = new TextDecoder()
    for (;;) {
      this.#silence = setTimeout(this.close, SILENCE)
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw unreachable(cause)
      })
      clearTimeout(this.#silence)
      if (done) return
      yield decoder.decode(value, { stream: true })
    }
  }

  readonly close = (): void => {
    clearTimeout(this.#silence)
    this.#outer?.removeEventListener('abort', this.close)
    this.#closing.abort()
  }
}
