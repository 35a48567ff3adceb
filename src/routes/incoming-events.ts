/** The events of one request that publishes many: each is parsed, authorised and checked as it comes. */
import { isUtf8 } from 'node:buffer'
import { authorize } from '../auth/principal.js'
import { parseJson } from '../server/body-json.js'
import { Problem } from '../errors.js'
import type { CheckedEvent } from '../model/event.js'
import type { Hub } from '../hub/hub.js'
import { tooDeep } from '../model/json.js'
import type { Principal } from '../model/principal.js'
import { requireTopic } from '../model/topic.js'
import { BatchEvent } from '../schemas/event.js'
import { compileShape, requireShape, type Shape } from '../schemas/validation.js'

const shape: Shape<BatchEvent> = compileShape(BatchEvent)

/**
 * What an event may have beside its payload, in bytes: topic, type, id, attributes and JSON's own characters, escapes
 * included.
 */
const ENVELOPE = 16 * 1024
/** An event of so many bytes is large. */
export const LARGE_EVENT = 32 * 1024
/** How many topics are remembered as granted. */
const GRANTED = 1_000

/**
 * Returns the most bytes that an event may have as it is sent: base64 takes four for each three of the payload.
 * @param maxEventSize the most bytes that its payload may have
 */
export function sentLimit(maxEventSize: number): number {
  return Math.ceil(maxEventSize / 3) * 4 + ENVELOPE
}

/** Returns who publishes, as of now. Throws when the token has ended. */
export type Publisher = () => Principal

export class IncomingEvents {
  /** The most bytes that an event may have as it is sent. */
  readonly maxLength: number
  readonly #hub: Hub
  readonly #publisher: Publisher
  readonly #kind: 'event' | 'line'
  readonly #granted = new Set<string>()

  /**
   * @param maxEventSize the most bytes that the payload of an event may have
   * @param kind what holds an event, for messages
   */
  constructor(hub: Hub, publisher: Publisher, maxEventSize: number, kind: 'event' | 'line') {
    this.maxLength = sentLimit(maxEventSize)
    this.#hub = hub
    this.#publisher = publisher
    this.#kind = kind
  }

  /**
   * Parses one event. After a large one the event loop should get its turn before `check`: each of them takes
   * milliseconds.
   * @param text UTF-8, or a string that is ASCII
   * @throws Problem
   */
  parse(text: Buffer | string): unknown {
    if (text.length > this.maxLength) throw this.tooLong()
    if (typeof text !== 'string' && !isUtf8(text))
      throw new Problem('invalid-encoding', `The ${this.#kind} is not UTF-8.`)
    return parseJson(text, `The ${this.#kind}`, tooDeep)
  }

  /**
   * Checks that what was parsed is an event that can be published, and by this publisher.
   * @param path where it stands, as a JSON pointer, for messages
   * @throws Problem, HubError
   */
  check(input: unknown, path: string): CheckedEvent {
    return this.accept(input) ?? this.#check(input, path)
  }

  /**
   * As `check`, at a part of its cost: the hub refuses whatever the schema refuses.
   * @returns `undefined` when the event is refused, for a reason that only `check` says
   * @throws Problem when the token has ended
   */
  accept(input: unknown): CheckedEvent | undefined {
    const principal = this.#publisher()
    const topic = typeof input === 'object' && input !== null && 'topic' in input ? input.topic : undefined
    if (typeof topic !== 'string') return undefined
    try {
      this.#authorize(principal, topic)
      return this.#hub.check(topic, input as BatchEvent)
    } catch {
      return undefined
    }
  }

  #check(input: unknown, path: string): CheckedEvent {
    requireShape(shape, input, this.#kind, path, this.#kind === 'line' ? 'invalid-line' : 'invalid-request')
    this.#authorize(this.#publisher(), input.topic)
    return this.#hub.check(input.topic, input)
  }

  #authorize(principal: Principal, topic: string): void {
    if (this.#granted.has(topic)) return
    requireTopic(topic)
    authorize(principal, 'publish', [topic])
    if (this.#granted.size >= GRANTED) this.#granted.clear()
    this.#granted.add(topic)
  }

  /** The refusal of an event that has more than `maxLength` bytes. */
  tooLong(): Problem {
    return new Problem(
      'event-too-large',
      `The ${this.#kind} has more than the ${this.maxLength} bytes that an event may have as it is sent.`,
    )
  }
}
