import { createParser } from 'eventsource-parser'
import http from 'node:http'
import type { Test } from 'tap'
import { DEADLINE, within } from './deadline.js'

export interface StreamEvent {
  /** The `id:` of its block. */
  id: string | undefined
  /** The `event:` field. Types of the hub's own blocks begin with `fanfare.`. */
  type: string | undefined
  /** The extra field `topic:`, on streams of several topics. */
  topic: string | undefined
  data: string
}

/** A cursor, and the number of events (without the hub's own) that had been read by then. */
export interface ReadId {
  id: string
  events: number
}

export interface StreamOptions {
  token?: string
  lastEventId?: string
  headers?: Record<string, string>
  /** The address to connect from. */
  localAddress?: string
  /** Disconnects once this many events (without the hub's own) have been read. Later events count as never read. */
  limit?: number
  /** How to disconnect at the limit: close the socket (FIN), or reset it (RST). */
  leave?: 'close' | 'reset'
  /** Maps a published event to the part to keep; default: the event itself. For events that are too large to keep. */
  keep?: (event: StreamEvent) => StreamEvent
}

/** An event stream on its own socket. It behaves as EventSource, but never reconnects. */
export class EventStream {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** All dispatched events in order, including the hub's own, except heartbeats, which come at any time. */
  readonly all: StreamEvent[] = []
  /** The published events: `all` without the hub's own `fanfare.*`. */
  readonly events: StreamEvent[] = []
  /** Every cursor: of events, of the open block and of heartbeats. */
  readonly ids: ReadId[] = []
  readonly retries: number[] = []
  /** The number of heartbeats. */
  heartbeats = 0
  /** Settles when the stream ends, with the time on the clock of `performance.now()`. */
  readonly closed: Promise<number>
  isClosed = false

  readonly #response: http.IncomingMessage
  readonly #options: StreamOptions
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  readonly #waiting = new Set<() => void>()
  #topic: string | undefined
  #tail = ''
  #searched = 0
  #taken = 0
  #over = false
  #failure: Error | undefined

  readonly #parser = createParser({
    onEvent: ({ id, event: type, data }) => {
      const event: StreamEvent = { id, type, topic: this.#topic, data }
      if (type === 'fanfare.heartbeat') {
        this.heartbeats++
        return
      }
      if (type?.startsWith('fanfare.')) {
        this.all.push(event)
        return
      }
      const kept = this.#options.keep?.(event) ?? event
      this.all.push(kept)
      this.events.push(kept)
    },
    onRetry: (ms) => void this.retries.push(ms),
    onError: ({ type, field, value, message }) => {
      if (type === 'unknown-field' && field === 'topic' && value !== undefined) this.#topic = value
      else this.#failure ??= new Error(`not an event stream: ${message}`)
    },
  })

  constructor(response: http.IncomingMessage, options: StreamOptions) {
    this.#response = response
    this.#options = options
    this.status = response.statusCode ?? 0
    this.headers = response.headers
    this.closed = new Promise((resolve) => {
      response.once('close', () => {
        this.isClosed = true
        this.#wake()
        resolve(performance.now())
      })
    })
    response.on('error', () => undefined) // `closed` reports a reset
    response.on('data', (chunk: Buffer) => this.#read(chunk))
    if (options.limit === 0) this.#leave()
  }

  /** The last event id as EventSource would send it. The end of a block sets it, with or without data. */
  get lastId(): string | undefined {
    return this.ids.at(-1)?.id
  }

  /**
   * Returns the first event that satisfies `predicate` after the previous call's event, and skips the events between
   * them. The hub's own events count.
   */
  async next(predicate: (event: StreamEvent) => boolean = () => true, ms = DEADLINE): Promise<StreamEvent> {
    let found: StreamEvent | undefined
    await this.until(() => {
      while (found === undefined && this.#taken < this.all.length) {
        const event = this.all[this.#taken++]!
        if (predicate(event)) found = event
      }
      return found !== undefined
    }, ms)
    return found!
  }

  /** As `next` for an event of the hub: `open`, `gap`, `live`, `close`. Returns its data. */
  async told(name: string, ms = DEADLINE): Promise<Record<string, unknown>> {
    const event = await this.next(({ type }) => type === `fanfare.${name}`, ms)
    return JSON.parse(event.data) as Record<string, unknown>
  }

  /**
   * Waits until `predicate` is true. It is checked after every piece of data and at the end.
   * @throws with the events so far, at the time limit or if the stream ends before
   */
  async until(predicate: () => boolean, ms = DEADLINE): Promise<void> {
    let look: (() => void) | undefined
    const satisfied = new Promise<void>((resolve, reject) => {
      look = () => {
        if (this.#failure) reject(this.#failure)
        else if (predicate()) resolve()
        else if (this.isClosed) reject(new Error(`the stream ended: ${this.describe()}`))
      }
      this.#waiting.add(look)
      look()
    })
    try {
      await within(satisfied, () => this.describe(), ms)
    } finally {
      this.#waiting.delete(look!)
    }
  }

  /** Waits until a number of events (without the hub's own) have been read. */
  async count(events: number, ms = DEADLINE): Promise<void> {
    await this.until(() => this.events.length >= events, ms)
  }

  /** Stops reading from the socket, as a stalled client does. */
  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  /** Closes the socket. */
  destroy(): void {
    this.#over = true
    this.#response.destroy()
  }

  /** Resets the socket (TCP RST). */
  reset(): void {
    this.#over = true
    this.#response.socket.resetAndDestroy()
  }

  /** Describes the events so far in a few lines, for a failure's message. */
  describe(): string {
    const last = this.all.slice(-5).map((event) => JSON.stringify(event).slice(0, 200))
    return [
      `${this.events.length} events, last id ${this.lastId ?? '(none)'}, ${this.isClosed ? 'closed' : 'open'}; the newest events:`,
      ...last,
    ].join('\n  ')
  }

  #leave(): void {
    if (this.#options.leave === 'reset') this.reset()
    else this.destroy()
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }

  /** Passes block after block to the parser, so that each id belongs to a known event. */
  #read(chunk: Buffer): void {
    if (this.#over) return
    try {
      this.#tail += this.#decoder.decode(chunk, { stream: true })
      let end: number
      while ((end = this.#tail.indexOf('\n\n', this.#searched)) !== -1) {
        const block = this.#tail.slice(0, end + 2)
        this.#tail = this.#tail.slice(end + 2)
        this.#searched = 0
        this.#dispatch(block)
        if (this.#options.limit !== undefined && this.events.length >= this.#options.limit) {
          this.#leave()
          break
        }
      }
      this.#searched = Math.max(0, this.#tail.length - 1)
    } catch (error) {
      this.#failure ??= error as Error
    }
    this.#wake()
  }

  /**
   * An id takes effect when its block ends, with or without data (HTML Standard, 9.2.6, "dispatch the event", step 1).
   */
  #dispatch(block: string): void {
    this.#topic = undefined
    this.#parser.feed(block)
    const id = lastIdOf(block)
    if (id !== undefined) this.ids.push({ id, events: this.events.length })
  }
}

/**
 * Returns the value of a block's last `id:` line. Lines end with CR or LF only: `m` and `.` would also stop at U+2028.
 */
function lastIdOf(block: string): string | undefined {
  let id: string | undefined
  for (const [, value] of block.matchAll(/(?:^|[\r\n])id: ?([^\r\n]*)/g)) id = value
  return id
}

/**
 * Opens an event stream. Resolves when the head of the response has arrived. The stream is destroyed when the test is
 * over.
 * @throws with status and body if the answer is not 200
 */
export async function openStream(t: Test, url: string, options: StreamOptions = {}): Promise<EventStream> {
  const { token, lastEventId, headers, localAddress } = options
  const request = http.get(url, {
    agent: false,
    ...(localAddress !== undefined && { localAddress }),
    headers: {
      accept: 'text/event-stream',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      ...headers,
    },
  })
  t.teardown(() => void request.destroy())
  const response = await within(
    new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.on('error', reject)
    }),
    () => `no response to GET ${url}`,
  )
  if (response.statusCode !== 200) {
    const body = await response.setEncoding('utf8').reduce<string>((text, part: string) => text + part, '')
    throw new Error(`GET ${url}: ${response.statusCode ?? '?'} ${body}`)
  }
  return new EventStream(response, options)
}

/** Opens an event stream and reads until it is live: to the open block, or to the end of the requested history. */
export async function openLive(t: Test, url: string, options: StreamOptions = {}): Promise<EventStream> {
  const stream = await openStream(t, url, options)
  const { searchParams } = new URL(url)
  const asksForPast = options.lastEventId !== undefined || searchParams.has('lastEventId') || searchParams.has('replay')
  await stream.told(asksForPast ? 'live' : 'open')
  return stream
}

/** Returns the address of a stream: of one topic or pattern as its own resource, of several by query. */
export function streamUrl(hub: { url: string }, topics: readonly string[], query: Record<string, string> = {}): string {
  const [only] = topics
  const url =
    topics.length === 1 && only !== undefined
      ? new URL(`${hub.url}/topics/${encodeURIComponent(only)}/events`)
      : new URL(`${hub.url}/events`)
  if (topics.length !== 1) for (const topic of topics) url.searchParams.append('topic', topic)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}
