/** Accepts or refuses the appends to a finite topic, one after the other, before they are stored together. */
import type { NewEvent } from '../../model/event.js'
import { quote } from '../../model/quote.js'
import { toEvents } from './finite-event.js'
import {
  FiniteTopicError,
  type AppendRequest,
  type EndStatus,
  type FiniteTopic,
  type Producer,
} from './finite-topic.js'
import { bytesOf, type Fold, type ProducerState } from './fold.js'

/** An append. Its `end` may also be a status that only the hub sets. */
export interface Request extends Omit<AppendRequest, 'end'> {
  end?: EndStatus | undefined
}

/** The answer to an accepted append, and the events to store for it. The array may be empty. */
export interface Admitted {
  events: NewEvent[]
  duplicate: boolean
  producer?: ProducerState | undefined
}

/** The limits of a topic, in bytes. */
export interface SizeLimits {
  /** The maximum size of one message. */
  message: number
  /** The maximum size of all messages of the topic together. */
  topic: number
  /** Returns how much more all finite topics together may take. */
  left: () => number
}

/** The approximate size of an event of a finite topic without its payload, in bytes. */
export const EVENT_OVERHEAD = 200

export class Admission {
  readonly #topic: FiniteTopic
  readonly #fold: Fold
  readonly #limits: SizeLimits
  /** The changes by the appends that were admitted so far. */
  readonly #producers = new Map<string, ProducerState>()
  #status: FiniteTopic['status']
  #closedBy: Producer | undefined
  #order: string | undefined
  #size: number
  #added = 0

  /** @param topic the state that refusals report */
  constructor(topic: FiniteTopic, fold: Fold, limits: SizeLimits) {
    this.#topic = topic
    this.#fold = fold
    this.#limits = limits
    this.#status = fold.status
    this.#closedBy = fold.closedBy
    this.#order = fold.order
    this.#size = fold.size
  }

  /**
   * Checks an append, in the order of Durable Streams, 5.2, "Error Precedence".
   * @throws FiniteTopicError
   */
  admit(request: Request): Admitted {
    const { messages, end, producer, order, lease, trace } = request
    if (this.#status !== 'open') return this.#afterEnd(request)
    this.#requireContentType(request)
    const known = producer && this.#admitProducer(request)
    if (known) return { events: [], duplicate: true, producer: known }
    this.#requireOrder(order)
    this.#requireSize(messages)
    if (messages.length === 0 && end === undefined) return { events: [], duplicate: false }
    if (producer) this.#producers.set(producer.id, { epoch: producer.epoch, seq: producer.seq })
    if (order !== undefined) this.#order = order
    if (end !== undefined) {
      this.#status = end
      this.#closedBy = producer
    }
    const events = toEvents(this.#topic.topic, messages, end, { producer, order, lease }, trace)
    return { events, duplicate: false, producer: producer && { epoch: producer.epoch, seq: producer.seq } }
  }

  /** Decides about an append to a topic that has ended. Ending it again changes nothing. */
  #afterEnd({ messages, end, producer }: Request): Admitted {
    const closedBy = this.#closedBy
    if (producer && closedBy?.id === producer.id && closedBy.epoch === producer.epoch && closedBy.seq === producer.seq)
      return { events: [], duplicate: true, producer: { epoch: closedBy.epoch, seq: closedBy.seq } }
    if (end !== undefined && messages.length === 0 && !producer) return { events: [], duplicate: false }
    const name = quote(this.#topic.topic)
    throw this.#status === 'cancelled'
      ? this.#refusal('cancelled', `${name} has been cancelled: it takes no more messages.`)
      : this.#refusal('stream-closed', `${name} has ended with the status ${this.#status}: it takes no more messages.`)
  }

  #requireContentType({ contentType }: Request): void {
    if (contentType === undefined || contentType === this.#topic.contentType) return
    throw this.#refusal(
      'content-type-mismatch',
      `${quote(this.#topic.topic)} has the content type ${quote(this.#topic.contentType)}, and the append ${quote(contentType)}.`,
    )
  }

  /**
   * Checks the number of a producer's append (Durable Streams, 5.2.1, "Validation Logic").
   * @returns the newest append of the producer, if the append is a repetition
   */
  #admitProducer({ producer }: Request): ProducerState | undefined {
    const { id, epoch, seq } = producer!
    if (!isNumber(epoch) || !isNumber(seq) || id === '')
      throw this.#refusal('invalid-producer', 'The epoch and the number of a producer are whole numbers from 0 on.')
    const known = this.#producers.get(id) ?? this.#fold.producers.get(id)
    if (known && epoch < known.epoch)
      throw this.#refusal(
        'producer-fenced',
        `The producer ${quote(id)} has the epoch ${known.epoch}: the append is of the earlier epoch ${epoch}.`,
        known.epoch,
      )
    if (known && epoch === known.epoch) {
      if (seq <= known.seq) return known
      if (seq > known.seq + 1) throw this.#gap(id, known.seq + 1, seq)
    } else if (seq !== 0) {
      if (!known) throw this.#gap(id, 0, seq)
      throw this.#refusal(
        'invalid-producer',
        `The epoch ${epoch} of the producer ${quote(id)} is new, and begins with the number 0, not ${seq}.`,
      )
    }
    return undefined
  }

  #gap(id: string, expected: number, seq: number): FiniteTopicError {
    return this.#refusal(
      'producer-gap',
      `The next append of the producer ${quote(id)} has the number ${expected}, not ${seq}.`,
      expected,
    )
  }

  #requireOrder(order: string | undefined): void {
    const last = this.#order
    if (order === undefined || last === undefined || Buffer.compare(Buffer.from(order), Buffer.from(last)) > 0) return
    throw this.#refusal(
      'order-regression',
      `The append has the order ${quote(order)}, which does not sort after ${quote(last)} of the append before it.`,
    )
  }

  #requireSize(messages: Request['messages']): void {
    if (messages.length === 0) return
    const sizes = messages.map(bytesOf)
    let largest = 0
    let added = 0
    for (const size of sizes) {
      largest = Math.max(largest, size)
      added += size
    }
    const { message, topic, left } = this.#limits
    if (largest > message)
      throw this.#refusal('event-too-large', `A message has ${largest} bytes; at most ${message} are allowed.`)
    if (this.#size + added > topic)
      throw this.#refusal(
        'stream-too-large',
        `${quote(this.#topic.topic)} has ${this.#size} bytes, and the append ${added} more; at most ${topic} are allowed.`,
      )
    const taken = added + EVENT_OVERHEAD * messages.length
    if (this.#added + taken > left())
      throw this.#refusal('streams-full', 'The finite topics have reached their share of the log. Try again later.')
    this.#size += added
    this.#added += taken
  }

  #refusal(
    code: ConstructorParameters<typeof FiniteTopicError>[0],
    message: string,
    expected?: number,
  ): FiniteTopicError {
    return new FiniteTopicError(code, message, {
      topic: this.#topic,
      ...(expected === undefined ? {} : { expected }),
    })
  }
}

function isNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
