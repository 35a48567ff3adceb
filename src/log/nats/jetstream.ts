/** The requests to JetStream that the log needs: streams, consumers and messages, as JSON. */
import type { Msg } from '@nats-io/transport-node'
import type { NatsLink } from '../../nats/nats-link.js'

/** The settings of a stream that the log sets. Times are in nanoseconds. */
export interface StreamConfig {
  name: string
  subjects: string[]
  storage: 'file'
  retention: 'limits'
  discard: 'old' | 'new'
  num_replicas: number
  max_msgs_per_subject: number
  max_age: number
  max_bytes: number
  duplicate_window: number
  allow_direct: boolean
  allow_atomic?: boolean
  allow_msg_ttl?: boolean
  allow_rollup_hdrs?: boolean
  deny_delete?: boolean
  metadata?: Record<string, string>
}

export interface StreamInfo {
  config: Partial<StreamConfig>
  /** When the stream was made, in RFC 3339. */
  created: string
  state: {
    messages: number
    bytes: number
    /** The oldest sequence; the one after the newest if there is no message. */
    first_seq: number
    last_seq: number
    num_subjects?: number
  }
  /** The servers of the stream; `undefined` if NATS is a single server. */
  cluster?: { leader?: string }
}

export interface ConsumerInfo {
  name: string
  num_pending: number
  delivered: { consumer_seq: number; stream_seq: number }
}

/** A message of a stream, as JSON. */
export interface RawMessage {
  subject: string
  seq: number
  /** The headers, as base64. */
  hdrs?: string
  /** The payload, as base64. */
  data?: string
  /** In RFC 3339. */
  time: string
}

/** Whether an error is temporary, such as that of a cluster that elects a leader. */
export function isTemporary(err: unknown): boolean {
  return err instanceof JetStreamError ? err.status === 503 : err instanceof Error && err.name !== 'NatsError'
}

interface ApiError {
  code: number
  err_code?: number
  description?: string
}

/** An error in an answer of JetStream. */
export class JetStreamError extends Error {
  override name = 'JetStreamError'
  readonly status: number
  readonly code: number

  constructor({ code, err_code, description }: ApiError) {
    super(`JetStream refuses the request: ${description ?? code}`)
    this.status = code
    this.code = err_code ?? 0
  }
}

export const CONSUMER_NOT_FOUND = 10_014
export const STREAM_NOT_FOUND = 10_059
export const NO_MESSAGE = 10_037
export const STREAM_EXISTS = 10_058
/** The newest message of a subject has another sequence than the expected one. */
export const OTHER_LAST_SEQUENCE = 10_071
export const DUPLICATE_IN_BATCH = 10_201

/** Returns the answer of JetStream to a request. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function answerOf<T>(message: Msg): T {
  const answer = message.json<object>()
  if ('error' in answer) throw new JetStreamError(answer.error as ApiError)
  return answer as T
}

/** A subject without messages. */
const NOTHING = 'fanfare.nothing'

export class JetStream {
  readonly #link: NatsLink
  readonly #timeout: number

  constructor(link: NatsLink, timeout: number) {
    this.#link = link
    this.#timeout = timeout
  }

  /**
   * Returns a stream's settings and state, as its leader knows them. A new leader, or one that the other servers follow
   * no more, may not know the newest messages.
   */
  streamInfo(stream: string): Promise<StreamInfo> {
    return this.#ask(`STREAM.INFO.${stream}`)
  }

  createStream(config: StreamConfig): Promise<StreamInfo> {
    return this.#ask(`STREAM.CREATE.${config.name}`, config)
  }

  /** Changes the settings of a stream to the given ones. */
  updateStream(config: Partial<StreamConfig>): Promise<StreamInfo> {
    return this.#ask(`STREAM.UPDATE.${config.name ?? ''}`, config)
  }

  /** Removes the messages of a subject before a sequence. */
  purge(stream: string, filter: string, before: number): Promise<unknown> {
    return this.#ask(`STREAM.PURGE.${stream}`, { filter, seq: before })
  }

  /**
   * Returns a stream's settings and state with every message that was stored before the call. The servers of the stream
   * first carry out a change that changes nothing, so their leader has carried out every earlier one.
   * @throws Error if the stream does not carry out changes, or another server has become its leader meanwhile
   */
  async confirmedInfo(stream: string): Promise<StreamInfo> {
    const before = await this.streamInfo(stream)
    await this.purge(stream, NOTHING, 1)
    const info = await this.streamInfo(stream)
    if (info.cluster?.leader !== before.cluster?.leader) throw new Error('another server leads the stream now')
    return info
  }

  /** Returns a message, as the leader of the stream knows it; `undefined`: there is none. */
  message(stream: string, seq: number): Promise<RawMessage | undefined> {
    return this.#messageOf(stream, { seq })
  }

  /** Returns the newest message with a subject, as the leader of the stream knows it; `undefined`: there is none. */
  lastMessage(stream: string, subject: string): Promise<RawMessage | undefined> {
    return this.#messageOf(stream, { last_by_subj: subject })
  }

  async #messageOf(stream: string, wanted: object): Promise<RawMessage | undefined> {
    try {
      return (await this.#ask<{ message: RawMessage }>(`STREAM.MSG.GET.${stream}`, wanted)).message
    } catch (err) {
      if (err instanceof JetStreamError && err.code === NO_MESSAGE) return undefined
      throw err
    }
  }

  /** Returns the first message from a sequence on with a subject, as the leader of the stream knows it. */
  nextMessage(stream: string, seq: number, subject: string): Promise<RawMessage | undefined> {
    return this.#messageOf(stream, { seq, next_by_subj: subject })
  }

  createConsumer(stream: string, config: { name: string; [option: string]: unknown }): Promise<ConsumerInfo> {
    return this.#ask(`CONSUMER.CREATE.${stream}.${config.name}`, { stream_name: stream, config })
  }

  consumerInfo(stream: string, name: string): Promise<ConsumerInfo> {
    return this.#ask(`CONSUMER.INFO.${stream}.${name}`)
  }

  /** Deletes a consumer, without waiting for the answer. */
  deleteConsumer(stream: string, name: string): void {
    this.#link.connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`)
  }

  async #ask<T>(request: string, body?: object): Promise<T> {
    const payload = body === undefined ? '' : JSON.stringify(body)
    return answerOf<T>(await this.#link.connection.request(`$JS.API.${request}`, payload, { timeout: this.#timeout }))
  }
}
