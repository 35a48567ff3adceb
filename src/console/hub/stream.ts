/**
 * An event stream that reconnects by itself from its last id. A new ticket opens it each time, so the token is not in
 * the URL. It uses `fetch`: an `EventSource` does not say why a stream was refused.
 */
import { signal, type Signal } from '@preact/signals'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { HistoryEvent } from '../../model/history-event.js'
import type { CloseReason, GapReason } from '../../wire/sse.js'
import { addressOf } from './address.js'
import { call, Refusal, refusalOf } from './api.js'

/** An event of a stream. */
export interface LiveEvent {
  /** `undefined` for an ephemeral event. */
  id: string | undefined
  topic: string
  type: string | undefined
  time: string
  attributes: Record<string, string> | undefined
  /** A text, and bytes as base64, if `isText`; otherwise any JSON value. */
  data: unknown
  isText: boolean
}

/** An event as JSON, as `format=json` and pages of history have it: its bytes are base64. */
export type PublishedEvent = Omit<HistoryEvent, 'id' | 'bytes'> & { bytes?: string }

/** Returns an event of a page or of a stream as it is shown. */
export function toLiveEvent(
  { topic, type, time, attributes, data, text, bytes }: PublishedEvent,
  id: string | undefined,
): LiveEvent {
  return { id, topic, type, time, attributes, data: text ?? bytes ?? data, isText: data === undefined }
}

/**
 * - `connecting`: the stream has not opened yet, or is reopened after silence
 * - `catching-up`: the hub sends the missed events
 * - `live`: the hub sends new events
 * - `down`: the stream has ended and will reconnect
 * - `refused`: the stream will not reconnect; `detail` says why
 */
export interface StreamState {
  phase: 'connecting' | 'catching-up' | 'live' | 'down' | 'refused'
  detail?: string
}

export interface StreamOptions {
  topics: string[]
  query?: Record<string, string>
  /** The cursor after which the stream begins; default: with the next event. */
  after?: string
  onEvent: (event: LiveEvent) => void
  /**
   * The time without a byte after which the connection counts as lost, in milliseconds. Without this option the stream
   * is reopened after silence without being reported as down, since heartbeats may be rare.
   */
  silence?: number
}

const CLOSED: Record<CloseReason, string> = {
  expired: 'the token has expired',
  revoked: 'the stream was ended, or its token was revoked',
  drain: 'the hub is stopping',
  slow: 'the browser read the stream too slowly',
  lifetime: 'the stream reached its maximum age',
  busy: 'the hub is busy',
}
const GAPS: Record<GapReason, string> = {
  expired: 'some missed events are no longer kept',
  epoch: 'the hub has begun a new log',
  future: 'the hub does not have the last event that was read',
  invalid: 'the hub cannot read the last id',
  skipped: 'some events were skipped',
}

/** The delay before a reconnect, in milliseconds, until the hub sends `retry`. */
const RETRY = 2_000
/**
 * The time without a byte after which a stream is reopened, in milliseconds. It is longer than the hub's default
 * heartbeat.
 */
const QUIET = 20_000

export class LiveStream {
  readonly state: Signal<StreamState> = signal({ phase: 'connecting' })
  /** The description of a gap. It stays until the user dismisses it. */
  readonly gap = signal<string | undefined>(undefined)
  readonly #options: StreamOptions
  #lastId: string | undefined
  #retry = RETRY
  #detail = ''
  #attempt = new AbortController()
  #timer: number | undefined
  #silence: number | undefined

  constructor(options: StreamOptions) {
    this.#options = options
    this.#lastId = options.after
    void this.#run()
  }

  /** Ends the stream for good. */
  close(): void {
    window.clearTimeout(this.#timer)
    window.clearTimeout(this.#silence)
    this.#attempt.abort()
  }

  async #run(): Promise<void> {
    const attempt = (this.#attempt = new AbortController())
    this.#detail = 'the hub cannot be reached'
    try {
      await this.#read(attempt)
    } catch (err) {
      if (err instanceof Refusal && err.isFinal) {
        this.state.value = { phase: 'refused', detail: err.message }
        return
      }
    } finally {
      window.clearTimeout(this.#silence)
    }
    if (attempt.signal.reason === 'quiet') {
      this.state.value = { phase: 'connecting' }
      return this.#run()
    }
    if (attempt !== this.#attempt || (attempt.signal.aborted && attempt.signal.reason !== 'silence')) return
    this.state.value = { phase: 'down', detail: this.#detail }
    this.#timer = window.setTimeout(() => void this.#run(), this.#retry)
  }

  /** Resolves when the stream has ended. */
  async #read(attempt: AbortController): Promise<void> {
    const { topics, query = {}, silence } = this.#options
    const resume = this.#lastId === undefined ? {} : { lastEventId: this.#lastId }
    this.#watch(attempt, 'silence')
    const { ticket } = await call<{ ticket: string }>('tickets', { method: 'POST', signal: attempt.signal })
    const open = (observe: boolean) =>
      fetch(
        addressOf('events', {
          topic: topics,
          format: 'json',
          ...(observe ? { observe: 'true' } : {}),
          ...query,
          ...resume,
          ticket,
        }),
        {
          headers: { accept: 'text/event-stream' },
          cache: 'no-store',
          signal: attempt.signal,
        },
      )
    let response = await open(true)
    // only admins may observe; other users are present on the topic
    if (response.status === 403) response = await open(false)
    if (!response.ok || !response.body) throw await refusalOf(response, true)
    const hasPast = this.#lastId !== undefined || query.replay !== undefined
    const parser = createParser({
      onEvent: (message) => this.#take(message, hasPast),
      onRetry: (retry) => (this.#retry = retry),
    })
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    this.#detail = 'the connection was lost'
    for (;;) {
      this.#watch(attempt, silence === undefined ? 'quiet' : 'silence')
      const { done, value } = await reader.read()
      if (done) return
      parser.feed(value)
    }
  }

  #take({ id, event: name, data }: EventSourceMessage, hasPast: boolean): void {
    if (id !== undefined) this.#lastId = id
    switch (name) {
      case 'fanfare.open':
        this.state.value = { phase: hasPast ? 'catching-up' : 'live' }
        return
      case 'fanfare.live':
        this.state.value = { phase: 'live' }
        return
      case 'fanfare.gap':
        this.gap.value = GAPS[(JSON.parse(data) as { reason: GapReason }).reason]
        return
      case 'fanfare.close':
        this.#detail = CLOSED[(JSON.parse(data) as { reason: CloseReason }).reason]
        return
    }
    if (name !== undefined) return // a heartbeat: it has moved the last id
    this.#options.onEvent(toLiveEvent(JSON.parse(data) as PublishedEvent, id))
  }

  /** Restarts the timer of silence: a connection can break without an error on either side. */
  #watch(attempt: AbortController, reason: 'silence' | 'quiet'): void {
    window.clearTimeout(this.#silence)
    this.#silence = window.setTimeout(() => attempt.abort(reason), this.#options.silence ?? QUIET)
  }
}
