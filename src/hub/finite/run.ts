/** A finite topic for the code that writes it: appends, pipes a source into the topic, and reports its end. */
import { HubError } from '../../model/hub-error.js'
import { encodeData } from '../../model/json.js'
import { isJson, isText } from '../../model/media-type.js'
import { quote } from '../../model/quote.js'
import { appendTo } from '../../observe/span-attributes.js'
import type { Traces } from '../../observe/traces.js'
import { bytesMessage } from './bytes-message.js'
import type { AppendAnswer, AppendRequest, FiniteTopic, Message } from './finite-topic.js'
import type { HubFiniteTopics } from './finite-topics.js'
import { readSource } from './source.js'

/** The state of a run. */
export type RunStatus = FiniteTopic['status']

/** The maximum number of appends of a pipe that wait for the log. */
const MAX_PENDING = 64
/** How many times a lease is renewed within its duration. */
const RENEWALS = 3

/** The parts of the hub that every run works with. */
export interface RunSource {
  finite: HubFiniteTopics
  traces: Traces
  /** Receives the errors of renewing a lease. */
  onError: (err: unknown) => void
}

export class Run {
  readonly topic: string
  readonly contentType: string
  readonly #finite: HubFiniteTopics
  readonly #traces: Traces
  readonly #aborting = new AbortController()
  /** Aborted when this run ends the topic, to stop the sources of its pipes. */
  readonly #closing = new AbortController()
  /** Differs if the topic is created again under the same name: that topic is not the one of this run. */
  readonly #incarnation: string
  #status: RunStatus
  /** Whether this run has ended the topic itself. */
  #isClosing = false
  #renewal: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined

  private constructor({ finite, traces }: RunSource, { topic, contentType, status, incarnation }: FiniteTopic) {
    this.#finite = finite
    this.#traces = traces
    this.#incarnation = incarnation
    this.topic = topic
    this.contentType = contentType
    this.#status = status
  }

  /**
   * Opens a run of a topic.
   * @param lease the lease that the topic was created with, which the run renews; `undefined`: none
   */
  static async open(source: RunSource, state: FiniteTopic, lease: number | undefined): Promise<Run> {
    const { finite, onError } = source
    const run = new Run(source, state)
    run.#unwatch = await finite.watch(state.topic, (changed) =>
      run.#changed(changed?.incarnation === state.incarnation ? changed.status : undefined),
    )
    const now = await finite.get(state.topic)
    run.#changed(now?.incarnation === state.incarnation ? now.status : undefined)
    if (lease !== undefined && run.status === 'open') run.#hold(lease, onError)
    return run
  }

  get status(): RunStatus {
    return this.#status
  }

  /** Aborted when the hub closes, or the topic ends other than by `close` or `pipe`: cancelled, deleted or expired. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  /**
   * Appends one message, which belongs to the trace of the active span. The append has no span of its own: a model's
   * answer has hundreds of messages. Resolves when the message is durable.
   * @param message any value for JSON; a string or bytes for other content types
   */
  async append(message: unknown): Promise<void> {
    try {
      await this.#append({ messages: [this.#message(message)], trace: this.#traces.active })
    } catch (err) {
      if (err instanceof HubError) err.index = undefined // a single message needs no index
      throw err
    }
  }

  /**
   * Appends everything that a source yields, and ends the topic: with `done`, or with `error` if the source fails. If
   * the topic ends in another way, the source is stopped.
   * @returns how the topic has ended
   * @throws the error of the source; HubError if an append fails
   */
  pipe(source: unknown): Promise<RunStatus> {
    const trace = this.#traces.begin('append upload', {}, () => appendTo(this.topic))
    return trace ? trace.run(() => this.#pipe(source)) : this.#pipe(source)
  }

  async #pipe(source: unknown): Promise<RunStatus> {
    const chunks = readSource(source, AbortSignal.any([this.signal, this.#closing.signal]))
    const decoder = this.#isText ? new TextDecoder('utf-8', { ignoreBOM: true }) : undefined
    const pending = new Set<Promise<void>>()
    let failure: { err: unknown } | undefined
    const append = (message: unknown): void => {
      const appending = this.append(message).then(
        () => void pending.delete(appending),
        (err: unknown) => {
          failure ??= { err }
          pending.delete(appending)
        },
      )
      pending.add(appending)
    }
    try {
      for await (const chunk of chunks) {
        const message = decoder && chunk instanceof Uint8Array ? decoder.decode(chunk, { stream: true }) : chunk
        if (message !== '') append(message)
        if (pending.size >= MAX_PENDING) await Promise.race(pending)
        if (failure) break
      }
    } catch (err) {
      await Promise.all(pending)
      await this.close('error')
      throw err
    }
    const rest = decoder?.decode()
    if (rest && !failure && !this.signal.aborted) append(rest)
    await Promise.all(pending)
    return this.#piped(failure)
  }

  /** Ends the topic. A topic that has ended stays as it is. */
  async close(status: 'done' | 'error' = 'done'): Promise<RunStatus> {
    this.#isClosing = true
    this.#closing.abort()
    try {
      const { topic } = await this.#append({ messages: [], end: status })
      this.#changed(topic.status)
    } catch (err) {
      if (!isGone(err)) {
        this.#isClosing = false
        throw err
      }
      this.#changed(undefined)
    }
    return this.#status
  }

  /** Cancels the topic, as a request does: `signal` is aborted. */
  async cancel(): Promise<void> {
    const { status } = await this.#finite.cancel(this.topic, this.#incarnation)
    this.#changed(status)
  }

  #append(request: AppendRequest): Promise<AppendAnswer> {
    return this.#finite.append(this.topic, { ...request, incarnation: this.#incarnation })
  }

  get #isText(): boolean {
    return isText(this.contentType) && !isJson(this.contentType)
  }

  async #piped(failure: { err: unknown } | undefined): Promise<RunStatus> {
    if (this.signal.aborted && this.#status === 'open') throw this.signal.reason // the hub has closed
    if (this.signal.aborted) return this.#status
    if (!failure) return this.close()
    if (isOver(failure.err)) {
      await this.#finite.get(this.topic)
      if (this.#status !== 'open') return this.#status
    }
    await this.close('error').catch(() => undefined) // the failed append explains more
    throw failure.err
  }

  #message(message: unknown): Message {
    if (isJson(this.contentType)) return { kind: 'json', payload: encodeData(message) }
    if (typeof message === 'string') {
      if (!message.isWellFormed())
        throw new HubError('invalid-event', 'The text has a lone surrogate, which UTF-8 cannot encode.')
      if (this.#isText) return { kind: 'text', payload: message }
      return { kind: 'bytes', payload: Buffer.from(message).toString('base64') }
    }
    if (message instanceof Uint8Array) return bytesMessage(message, this.contentType)
    throw new HubError(
      'invalid-event',
      `A message of the content type ${quote(this.contentType)} is a string or a Uint8Array, not ${quote(message)}. Create the topic with contentType: 'application/json' for other values.`,
    )
  }

  /** @param status `undefined`: the topic is gone */
  #changed(status: RunStatus | undefined): void {
    if (status !== undefined && this.#status === 'open') this.#status = status
    if (status === 'open') return
    this.#unwatch?.()
    clearInterval(this.#renewal)
    if (status === undefined && this.#finite.isStopped)
      return this.#aborting.abort(new HubError('hub-closed', 'The hub has closed: the topic stays open.'))
    if (this.#status === 'open') this.#status = 'cancelled'
    if (this.#isClosing || this.signal.aborted) return
    this.#aborting.abort(
      new HubError('cancelled', `${quote(this.topic)} has ended with the status ${this.#status}: stop writing.`),
    )
  }

  /** Renews the lease of the writer while this process runs. */
  #hold(lease: number, onError: (err: unknown) => void): void {
    const renew = (): void =>
      void this.#append({ messages: [] }).catch((err: unknown) => {
        if (!isGone(err) && !isOver(err)) onError(err)
      })
    this.#renewal = setInterval(renew, Math.max(1, lease / RENEWALS)).unref()
  }
}

function isGone(err: unknown): boolean {
  return err instanceof HubError && ['stream-not-found', 'stream-gone'].includes(err.code)
}

function isOver(err: unknown): boolean {
  return isGone(err) || (err instanceof HubError && ['stream-closed', 'cancelled'].includes(err.code))
}
