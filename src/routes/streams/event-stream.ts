/** Answers a live read with an event stream (Durable Streams, 5.8). */
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { FiniteTopic } from '../../hub/finite/finite-topic.js'
import { monotonicNow } from '../../model/clock.js'
import { HubError, type HubErrorCode } from '../../model/hub-error.js'
import { Chunk } from '../../wire/chunk.js'
import type { Sink, SinkListener } from '../../wire/sink.js'
import { closeBlock, drawRetry } from '../../wire/sse.js'
import { commonHeaders } from './answer-headers.js'
import { nextCursor } from './collapsing-cursor.js'
import type { StreamsContext } from './context.js'
import { openRead, type WaitingRead } from './live-read.js'
import type { SharedPage } from './shared-pages.js'
import type { TailFeed, TailStream } from './tail-feeds.js'
import { isText } from '../../model/media-type.js'
import { kOpenStream } from '../../plugins/event-stream.js'

/**
 * About how long an event stream lasts, in milliseconds: the protocol recommends 60 s (10.2). The time is drawn at
 * random, so that not all subscribers reconnect at once.
 */
const LIFETIME = { min: 50_000, max: 70_000 }

/** The errors of a read that are no fault of the hub: the topic has expired or was deleted, or the hub has stopped. */
const GONE: ReadonlySet<HubErrorCode> = new Set(['stream-not-found', 'stream-gone', 'hub-closed'])

const HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-cache, no-transform' }

/**
 * Sends the messages after an offset, and then new messages, until the topic ends.
 * @throws Problem `draining`, `too-many-connections`
 */
export async function answerWithEvents(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { state, after, cursor }: { state: FiniteTopic; after: number; cursor: string | undefined },
): Promise<void> {
  const read = await openRead(context, request, state.topic, after)
  const encoding = isText(state.contentType) ? {} : { 'stream-sse-data-encoding': 'base64' }
  const sink = reply[kOpenStream]({
    ...commonHeaders(reply),
    ...HEADERS,
    ...encoding,
    'fanfare-connection': read.info.id,
  })
  if (sink) new MessageStream(context, { read, sink, state, cursor, log: request.log }).begin()
  else read.close()
}

interface StreamParts {
  read: WaitingRead
  sink: Sink
  state: FiniteTopic
  /** The cursor of the subscriber's request. */
  cursor: string | undefined
  log: FastifyBaseLogger
}

class MessageStream implements SinkListener, TailStream {
  tail: TailFeed | undefined
  readonly #sink: Sink
  #cursor: number
  /** When the stream was last written to, on the monotonic clock. */
  #lastWrite = -Infinity
  #isOver = false
  readonly #context: StreamsContext
  readonly #read: WaitingRead
  readonly #state: FiniteTopic
  readonly #log: FastifyBaseLogger
  readonly #lifetime: NodeJS.Timeout

  constructor(context: StreamsContext, { read, sink, state, cursor, log }: StreamParts) {
    const { maxConnectionAge } = context.settings
    const lifetime = LIFETIME.min + Math.random() * (LIFETIME.max - LIFETIME.min)
    this.#context = context
    this.#read = read
    this.#sink = sink
    this.#state = state
    this.#cursor = nextCursor(cursor)
    this.#log = log
    const time = maxConnectionAge > 0 ? Math.min(maxConnectionAge, lifetime) : lifetime
    this.#lifetime = setTimeout(() => this.#end(Chunk.NOTHING, 'lifetime'), time).unref()
    sink.listener = this
    read.ended.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** Begins to send. */
  begin(): void {
    this.#context.hub.neighbours.systemTopics.changed(this.#read, 'opened')
    if (this.#read.isEnded) this.#end()
    else void this.#catchUp()
  }

  /** As `SinkListener.drained`. */
  drained(): void {
    this.#read.isFull = false
    void this.#catchUp()
  }

  /** As `SinkListener.stalled`. */
  stalled(): void {
    this.#read.end('slow')
  }

  /** As `SinkListener.closed`. */
  closed(): void {
    this.#read.close()
  }

  /** As `TailStream.deliver`. */
  deliver(shared: SharedPage, cursor: number, now: number): boolean {
    if (cursor > this.#cursor && !shared.isEnd) this.#cursor = cursor // the cursor never goes back
    const chunk = shared.chunk(this.#cursor)
    this.#read.after = shared.page.next
    this.#read.sent(shared.page.messages.length, chunk.length)
    this.#lastWrite = now
    if (shared.isEnd) this.#end(chunk, 'ended')
    else if (this.#sink.write(chunk)) return true
    else this.#read.isFull = true
    this.#read.isWaiting = false
    return false
  }

  /** As `TailStream.replaced`. */
  replaced(): void {
    this.#end(Chunk.NOTHING, 'ended')
  }

  /** As `TailStream.failed`. The next request of the subscriber gets the reason. */
  failed(err: unknown): void {
    if (err instanceof HubError && GONE.has(err.code)) return this.#end(Chunk.NOTHING, 'ended')
    this.#log.error({ err, topic: this.#state.topic }, 'an event stream of a finite topic failed')
    this.#read.end('busy')
  }

  /** Sends pages until the sink is full, the topic has ended, or the stream has everything and joins a tail feed. */
  async #catchUp(): Promise<void> {
    const { pages, tails } = this.#context
    const { topic, incarnation } = this.#state
    this.#read.isWaiting = false
    try {
      for (;;) {
        const shared = await pages.read(topic, this.#read.after)
        if (this.#isOver) return
        if (shared.page.topic.incarnation !== incarnation) return this.replaced()
        if (!this.#send(shared)) return
        if (shared.reachesTail) {
          this.#read.isWaiting = true
          return tails.join(shared, this)
        }
      }
    } catch (err) {
      this.failed(err)
    }
  }

  /** @returns `false` if the stream has ended, or if the sink is full: then `drained` continues */
  #send(shared: SharedPage): boolean {
    const now = monotonicNow()
    const isQuiet = now - this.#lastWrite >= this.#context.settings.heartbeat
    if (isQuiet || shared.isEnd || shared.page.messages.length > 0)
      return this.deliver(shared, nextCursor(undefined), now)
    this.#read.after = shared.page.next
    return true
  }

  /** The block that says why the hub ends the stream. Clients of the protocol ignore it. */
  get #lastBlock(): Chunk {
    const { reason } = this.#read
    return reason === undefined ? Chunk.NOTHING : closeBlock(reason, drawRetry(reason === 'busy'))
  }

  /**
   * Ends the stream, unless it has ended.
   * @param why the reason in the system topics, unless the hub has ended the stream for a reason of its own
   */
  #end(chunk = this.#lastBlock, why: 'ended' | 'lifetime' | 'gone' = 'gone'): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#lifetime)
    this.tail?.delete(this)
    this.#sink.end(chunk)
    this.#read.close(why)
    this.#context.hub.neighbours.systemTopics.changed(this.#read, 'closed', this.#read.reason ?? why)
  }
}
