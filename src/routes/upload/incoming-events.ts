/** Parses, authorises and checks the events of a request that publishes many. */
import { isUtf8 } from 'node:buffer'
import { authorize } from '../../auth/principal.js'
import { parseJson } from '../../server/body-json.js'
import { Problem } from '../../errors.js'
import type { CheckedEvent } from '../../model/event.js'
import type { Hub } from '../../hub/hub.js'
import { tooDeep } from '../../model/json.js'
import type { Principal } from '../../model/principal.js'
import { requireTopic, type EventTopic } from '../../model/topic.js'
import type { TraceContext } from '../../model/trace-context.js'
import { BatchEvent } from '../../schemas/event.js'
import { compileShape, requireShape, type Shape } from '../../schemas/validation.js'

const shape: Shape<BatchEvent> = compileShape(BatchEvent)

/**
 * The maximum size of an event without its payload, in bytes: topic, type, id, attributes and the JSON syntax with
 * escapes.
 */
const ENVELOPE = 16 * 1024
/** The minimum size of a large event, in bytes. */
export const LARGE_EVENT = 32 * 1024
/** The maximum number of topics whose grants are cached. */
const GRANTED = 1_000

/**
 * Returns the maximum size of an event as it is sent, in bytes: base64 needs four bytes for three of the payload.
 * @param maxEventSize the maximum size of a payload, in bytes
 */
export function sentLimit(maxEventSize: number): number {
  return Math.ceil(maxEventSize / 3) * 4 + ENVELOPE
}

/** Returns the principal that publishes. Throws a Problem if its token is no longer in force. */
export type Publisher = () => Principal

export class IncomingEvents {
  /** The maximum size of an event in the request, in bytes. */
  readonly maxLength: number
  readonly #hub: Hub
  readonly #publisher: Publisher
  readonly #kind: 'event' | 'line'
  readonly #trace: TraceContext | undefined
  readonly #granted = new Set<string>()

  /**
   * @param maxEventSize the maximum size of a payload, in bytes
   * @param kind the word for an event in messages
   * @param trace the trace that the request belongs to
   */
  constructor(hub: Hub, publisher: Publisher, maxEventSize: number, kind: 'event' | 'line', trace?: TraceContext) {
    this.maxLength = sentLimit(maxEventSize)
    this.#hub = hub
    this.#publisher = publisher
    this.#kind = kind
    this.#trace = trace
  }

  /**
   * Parses one event. After a large event, give the event loop a turn before `check`: both take milliseconds then.
   * @param text UTF-8 bytes, or an ASCII string
   * @throws Problem
   */
  parse(text: Buffer | string): unknown {
    if (text.length > this.maxLength) throw this.tooLong()
    if (typeof text !== 'string' && !isUtf8(text))
      throw new Problem('invalid-encoding', `The ${this.#kind} is not valid UTF-8.`)
    return parseJson(text, `The ${this.#kind}`, tooDeep)
  }

  /**
   * Checks that a parsed value is a valid event that this publisher may publish.
   * @param path the position of the value in the body as a JSON pointer, for messages
   * @throws Problem, HubError
   */
  check(input: unknown, path: string): CheckedEvent {
    return this.accept(input) ?? this.#check(input, path)
  }

  /**
   * Checks like `check`, but faster: it skips the schema, since the hub refuses everything that the schema refuses.
   * @returns `undefined` for a refused event; `check` then returns the reason
   * @throws Problem if the token is no longer in force
   */
  accept(input: unknown): CheckedEvent | undefined {
    const principal = this.#publisher()
    const topic = typeof input === 'object' && input !== null && 'topic' in input ? input.topic : undefined
    if (typeof topic !== 'string') return undefined
    try {
      this.#authorize(principal, topic)
      return this.#hub.publisher.check(topic, input as BatchEvent, this.#trace)
    } catch {
      return undefined
    }
  }

  #check(input: unknown, path: string): CheckedEvent {
    requireShape(shape, input, this.#kind, path, this.#kind === 'line' ? 'invalid-line' : 'invalid-request')
    this.#authorize(this.#publisher(), input.topic)
    return this.#hub.publisher.check(input.topic, input, this.#trace)
  }

  #authorize(principal: Principal, topic: string): asserts topic is EventTopic {
    if (this.#granted.has(topic)) return
    requireTopic(topic)
    authorize(principal, 'publish', [topic])
    if (this.#granted.size >= GRANTED) this.#granted.clear()
    this.#granted.add(topic)
  }

  /** Returns the refusal of an event of more than `maxLength` bytes. */
  tooLong(): Problem {
    return new Problem(
      'event-too-large',
      `The ${this.#kind} has more than ${this.maxLength} bytes, the maximum size of an event in a request.`,
    )
  }
}
