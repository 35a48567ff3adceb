/**
 * A finite topic: a topic that a publisher creates, appends to, and ends, such as the answer of a model or the output
 * of a job. It is kept whole until it expires. `/streams/{path}` speaks the Durable Streams protocol for it.
 */
import type { NewEvent } from '../../model/event.js'
import type { TraceContext } from '../../model/trace-context.js'
import { HubError, type HubErrorCode } from '../../model/hub-error.js'

/** How a finite topic has ended. */
export type EndStatus = 'done' | 'error' | 'cancelled' | 'expired'

/** The configuration that a creator chooses. It never changes. */
export interface FiniteConfig {
  /** The media type of the messages. `application/json`: each message is a JSON value. */
  contentType: string
  /** The topic expires after so many milliseconds without an append or a read (Durable Streams, 5.1, Stream-TTL). */
  ttl?: number | undefined
  /** The topic expires at this time, in milliseconds since the Unix epoch. Not together with `ttl`. */
  expiresAt?: number | undefined
  /** Messages that follow the first one within so many milliseconds are sent to subscribers together. */
  coalesce?: number | undefined
  /** The beginning that the topic inherits from another one; `undefined`: nothing. */
  fork?: Fork | undefined
}

/** The beginning that a finite topic inherits from another one, without a copy (Durable Streams, 4.2). */
export interface Fork {
  readonly source: string
  /** The newest inherited sequence; `undefined`: the tail of the source. */
  readonly offset?: number | undefined
  /** How many messages (of JSON) or bytes (of other content types) after `offset` are inherited too. */
  readonly sub?: number | undefined
}

/** The state of a finite topic. */
export interface FiniteTopic extends Readonly<FiniteConfig> {
  readonly topic: string
  /** Differs for each creation of a topic with this name. Characters: `a-z 0-9`. */
  readonly incarnation: string
  /** The subject that created the topic; `undefined`: the application. */
  readonly createdBy: string | undefined
  /** In milliseconds since the Unix epoch. */
  readonly createdAt: number
  /** The sequence of the newest message; before the first one, the head of the log at the creation. */
  readonly tail: number
  readonly status: 'open' | EndStatus
  /** The size of all messages in bytes, without those inherited from a fork's source. */
  readonly size: number
  /** Whether the topic was deleted but still has forks. Its forks read it; every other request is refused. */
  readonly isDeleted: boolean
}

/** A payload, encoded as in a `NewEvent`. */
export type Message = Pick<NewEvent, 'kind' | 'payload'>

/** Identifies an append, so that a retry is stored once (Durable Streams, 5.2.1, Idempotent Producers). */
export interface Producer {
  readonly id: string
  readonly epoch: number
  readonly seq: number
}

export interface AppendRequest {
  /** May be empty if `end` is given, or to renew the lease. */
  messages: readonly Message[]
  /** Ends the topic after the messages, in the same transaction. */
  end?: 'done' | 'error' | undefined
  producer?: Producer | undefined
  /** Must sort, by bytes, after the `order` of the append before (Durable Streams, 5.2, Stream-Seq). */
  order?: string | undefined
  /** Must be the content type of the topic; `undefined`: it is not checked. */
  contentType?: string | undefined
  /** From now on the topic ends with `error` after this many milliseconds without an append. */
  lease?: number | undefined
  /** The incarnation that the topic must have; `undefined`: any. */
  incarnation?: string | undefined
  /** The trace that the append belongs to. The messages are stored with the trace as attributes. */
  trace?: TraceContext | undefined
}

export interface AppendAnswer {
  /** The state after the append. */
  topic: FiniteTopic
  /** Whether nothing was stored, since an earlier append of this producer had the same number. */
  duplicate: boolean
  /** The epoch and the greatest number that were accepted from the producer. */
  producer?: Omit<Producer, 'id'>
}

/** A message of a finite topic, with its offset. */
export interface ReadMessage extends Message {
  /** The offset after the message. */
  readonly sequence: number
  /** In milliseconds since the Unix epoch. */
  readonly time: number
}

export interface MessagePage {
  readonly topic: FiniteTopic
  readonly messages: readonly ReadMessage[]
  /** The offset after the last message; without messages, the requested offset. */
  readonly next: number
  /** Whether the page reaches the tail. */
  readonly isUpToDate: boolean
}

/** The operations on finite topics. */
export interface FiniteTopics {
  /**
   * Creates a finite topic, or finds one with the same configuration and the same state (open or ended). A fork without
   * a content type has that of its source, and one without `ttl` and `expiresAt` has the expiry of its source.
   * `end`: the topic ends at once, after `messages`. `lease`: as in `AppendRequest`; an existing topic keeps its lease.
   * @throws HubError `stream-exists` if the topic exists and differs, or was deleted and has forks; `stream-not-found`,
   *   `fork-source-gone`, `content-type-mismatch` or `invalid-offset` for a fork; `invalid-stream` for a configuration;
   *   `streams-full`, `too-many-topics`, `stream-too-large`, `event-too-large`
   */
  create(
    topic: string,
    config: Omit<FiniteConfig, 'contentType'> & { contentType?: string | undefined },
    options?: {
      messages?: readonly Message[]
      end?: 'done' | 'error' | undefined
      createdBy?: string | undefined
      lease?: number | undefined
      trace?: TraceContext | undefined
    },
  ): Promise<{ topic: FiniteTopic; created: boolean }>

  /** Returns the state; `undefined`: the topic does not exist, or has expired. Does not count as a read. */
  get(topic: string): Promise<FiniteTopic | undefined>

  /**
   * Appends messages, all or none. Appends of all processes happen one after the other.
   * @throws FiniteTopicError `stream-not-found`, `stream-gone`, `stream-closed`, `cancelled`, `content-type-mismatch`,
   *   `order-regression`, `producer-fenced`, `producer-gap`, `invalid-producer`, `stream-too-large`,
   *   `event-too-large`, `streams-full`
   */
  append(topic: string, request: AppendRequest): Promise<AppendAnswer>

  /** Ends an open topic with `cancelled`, and tells its writers. An ended topic stays as it is. */
  cancel(topic: string): Promise<FiniteTopic>

  /** Deletes a topic with its messages. While the topic has forks, requests for it are refused with `stream-gone`. */
  delete(topic: string): Promise<void>

  /**
   * Reads the messages after an offset, in order, including those of a fork's source. Counts as a read for `ttl`.
   * @param after 0: from the beginning
   * @param bytes the page ends once it has this many bytes. It has at least one message, unless nothing follows `after`
   */
  read(topic: string, after: number, bytes: number): Promise<MessagePage>

  /** Resolves when a message follows `after`, when the topic has ended or is gone, or when `signal` is aborted. */
  wait(topic: string, after: number, signal: AbortSignal): Promise<void>
}

/** A refusal, with the state that the answer reports. */
export class FiniteTopicError extends HubError {
  /** The state at the refusal, if the topic exists. */
  readonly topic: FiniteTopic | undefined
  /** For `producer-fenced`, the epoch of the producer; for `producer-gap`, the expected number. */
  readonly expected: number | undefined

  constructor(
    code: HubErrorCode,
    message: string,
    { topic, expected }: { topic?: FiniteTopic | undefined; expected?: number } = {},
  ) {
    super(code, message)
    this.topic = topic
    this.expected = expected
  }
}
