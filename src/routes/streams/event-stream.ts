/** Answers a live read with an event stream (Durable Streams, 5.8). */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
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
): Promise<FastifyReply> {
  const read = await openRead(context, request, state.topic, after)
  const encoding = isText(state.contentType) ? {} : { 'stream-sse-data-encoding': 'base64' }
  const sink = reply[kOpenStream]({
    ...commonHeaders(reply),
    ...HEADERS,
    ...encoding,
    'fanfare-connection': read.info.id,
  })
  if (sink) void new MessageStream(context, { read, sink, state, cursor }).run(request)
  else read.close()
  return reply
}

interface StreamParts {
  read: WaitingRead
  sink: Sink
  state: FiniteTopic
  /** The cursor of the subscriber's request. */
  cursor: string | undefined
}

class MessageStream implements SinkListener {
  readonly #context: StreamsContext
  readonly #read: WaitingRead
  readonly #sink: Sink
  readonly #state: FiniteTopic
  #cursor: number
  /** When the stream ends, and when it was last written to, on the monotonic clock. */
  readonly #until: number
  #lastWrite = -Infinity
  /** Whether the subscriber has been sent the end of the topic. */
  #hasEnded = false
  /** Resolves the wait for room in the sink. */
  #resume: (() => void) | undefined

  constructor(context: StreamsContext, { read, sink, state, cursor }: StreamParts) {
    const { maxConnectionAge } = context.settings
    const lifetime = LIFETIME.min + Math.random() * (LIFETIME.max - LIFETIME.min)
    this.#context = context
    this.#read = read
    this.#sink = sink
    this.#state = state
    this.#cursor = nextCursor(cursor)
    this.#until = monotonicNow() + (maxConnectionAge > 0 ? Math.min(maxConnectionAge, lifetime) : lifetime)
    sink.listener = this
    read.ended.addEventListener('abort', () => this.#resume?.())
  }

  async run(request: FastifyRequest): Promise<void> {
    const { hub } = this.#context
    hub.announce(this.#read, 'opened')
    try {
      while (!this.#read.isEnded && !this.#isOver) await this.#step()
    } catch (err) {
      // the next request of the subscriber gets the reason
      if (err instanceof HubError && GONE.has(err.code)) this.#hasEnded = true
      else {
        request.log.error({ err, topic: this.#state.topic }, 'an event stream of a finite topic failed')
        this.#read.end('busy')
      }
    } finally {
      const isOver = !this.#read.isEnded
      this.#read.close(this.#hasEnded ? 'ended' : 'lifetime')
      this.#sink.end(this.#lastBlock)
      hub.announce(this.#read, 'closed', this.#read.reason ?? (this.#hasEnded ? 'ended' : isOver ? 'lifetime' : 'gone'))
    }
  }

  get #isOver(): boolean {
    return monotonicNow() >= this.#until
  }

  /** Why the hub ends the stream. Clients of the protocol skip the block. */
  get #lastBlock(): Chunk {
    const { reason } = this.#read
    return reason === undefined ? Chunk.NOTHING : closeBlock(reason, drawRetry(reason === 'busy'))
  }

  /** As `SinkListener.drained`. */
  drained(): void {
    this.#resume?.()
  }

  /** As `SinkListener.stalled`. */
  stalled(): void {
    this.#read.end('slow')
  }

  /** As `SinkListener.closed`. */
  closed(): void {
    this.#read.close()
  }

  /** Sends a page, and waits for the next one. */
  async #step(): Promise<void> {
    const { pages, waits } = this.#context
    const { topic, incarnation } = this.#state
    const shared = await pages.read(topic, this.#read.after)
    const { page } = shared
    if (this.#read.isEnded) return
    if (page.topic.incarnation !== incarnation) return this.#read.close() // deleted, and created again
    this.#read.after = page.next
    if (page.isUpToDate && page.topic.status !== 'open')
      return this.#end(shared.chunk(this.#cursor), page.messages.length)
    const { length } = page.messages
    if (length > 0 || this.#isQuiet) await this.#send(shared.chunk(this.#advance()), length)
    if (shared.read === page.next && !page.isUpToDate) return
    if (length === 0) await nextTurn() // a wait that ends at once must not occupy the event loop
    await this.#read.wait((wake) => waits.join(topic, shared.read, wake), this.#waitingTime)
  }

  get #isQuiet(): boolean {
    return monotonicNow() - this.#lastWrite >= this.#context.settings.heartbeat
  }

  /** The time until the next read. A read at least twice within `ttl` keeps the topic from expiring. */
  get #waitingTime(): number {
    const now = monotonicNow()
    const { ttl = Infinity } = this.#state
    const beat = this.#lastWrite + this.#context.settings.heartbeat - now
    return Math.max(1, Math.min(beat, this.#until - now, ttl / 2))
  }

  /** Returns the cursor of the next control event. It never goes back. */
  #advance(): number {
    return (this.#cursor = Math.max(this.#cursor, nextCursor(undefined)))
  }

  async #send(chunk: Chunk, messages: number): Promise<void> {
    this.#lastWrite = monotonicNow()
    this.#read.sent(messages, chunk.length)
    if (this.#sink.write(chunk)) return
    this.#read.isFull = true
    await new Promise<void>((resolve) => {
      this.#resume = resolve
      if (this.#read.isEnded) resolve()
    })
    this.#resume = undefined
    this.#read.isFull = false
  }

  #end(chunk: Chunk, messages: number): void {
    this.#hasEnded = true
    this.#read.sent(messages, chunk.length)
    this.#sink.end(chunk)
    this.#read.close('ended')
  }
}
