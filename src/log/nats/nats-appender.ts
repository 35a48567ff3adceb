/** Appends events to the stream: one as a message, several as an atomic batch. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { NatsLink } from '../../nats/nats-link.js'
import { monotonicNow } from '../../model/clock.js'
import { lengthOf, type NewEvent } from '../../model/event.js'
import { HubError } from '../../model/hub-error.js'
import { conflict } from '../finite-names.js'
import { tooManyTopics, type Appended, type AppendOptions, type Expected } from '../log.js'
import type { RetainedEvents } from '../memory/retained-events.js'
import { unavailable, within } from './calls.js'
import { answerOf, DUPLICATE_IN_BATCH, JetStreamError, OTHER_LAST_SEQUENCE } from './jetstream.js'
import {
  addToBatch,
  expectLast,
  messageId,
  sizeOf,
  toMessage,
  toQuestion,
  type EventMessage,
  type Subjects,
} from './messages.js'
import { SPARE_EVENTS } from './stream-config.js'
import { NoResponderError, type Requests } from './requests.js'
import type { RecentIds } from './recent-ids.js'

/** The time without an answer after which an event with an id is sent again, in milliseconds. */
const ATTEMPT = 2_000
/** The time between two attempts, in milliseconds. */
const RETRY = 50
/** The maximum number of concurrent atomic batches of a process. A stream allows 50, over all processes. */
const MAX_BATCHES = 8
/** The maximum number of events of an atomic batch. */
const BATCH_EVENTS = 1_000
/** The maximum number of events of a subject of a finite topic. JetStream keeps more of each subject. */
const PART_EVENTS = SPARE_EVENTS

/** The maximum sizes, in bytes: of a UTF-16 code unit in UTF-8, of the headers of an event, and of those of a batch. */
const UTF8_MOST = 3
const HEADERS_MOST = 4_096
const BATCH_HEADERS = 128
/** The error of a message whose condition about the last message id is not met. */
const OTHER_LAST_ID = 10_070

/** Errors of JetStream after which the same events may be sent again: none of them was stored. */
const TEMPORARY = new Set([
  10_176, // the batch is incomplete: its leader has changed
  10_210, // too many batches at a time
  10_008, // the cluster has no leader
  10_009, // JetStream has no quorum
  10_118, // the stream is offline
])

export interface NatsAppenderOptions {
  link: NatsLink
  requests: Requests
  subjects: Subjects
  /** Returns the epoch of the stream that this process follows. */
  epoch: () => string
  /** Whether that stream still exists. Otherwise this process follows the one that has replaced it. */
  isSame: () => Promise<boolean>
  /** Returns the recent publisher ids of the stream. */
  ids: () => RecentIds
  /** Returns the events that this process knows. */
  retained: () => RetainedEvents
  /** The maximum number of topics. */
  maxTopics: number
  /** The maximum time of an append, in milliseconds. */
  timeout: number
  /** Called with the sequence of each stored event, and the head of this process at the time when it sent the event. */
  onStored: (sequence: number, head: number) => void
  /** Called when an append was not answered in time, though there is a connection. */
  onUnanswered: () => void
  /** Returns the newest sequence that this process knows. */
  head: () => number
  /** Resolves when the followers have got every event up to a sequence. */
  reach: (sequence: number) => Promise<void>
}

/** The condition of a batch. `start`: the number of events of the append in earlier batches. */
interface Condition extends Expected {
  start: number
}

/** The answer of JetStream to a message or a batch. */
interface Ack {
  /** The sequence of the last event. */
  seq: number
  duplicate?: boolean
}

export class NatsAppender {
  readonly #options: NatsAppenderOptions
  /** The number of pending appends, by the topics that they may add. */
  readonly #added = new Map<string, number>()
  readonly #pending = new Set<Promise<unknown>>()
  #batches = 0
  readonly #waiting: (() => void)[] = []
  #isStopped = false

  constructor(options: NatsAppenderOptions) {
    this.#options = options
  }

  /** As `EventLog.append`. */
  append(events: readonly NewEvent[], { expected }: AppendOptions = {}): Promise<Appended[]> {
    const appending = this.#append(events, expected)
    this.#pending.add(appending)
    const done = (): void => void this.#pending.delete(appending)
    appending.then(done, done)
    return appending
  }

  /** Refuses further appends. Resolves when none is pending. */
  async stop(): Promise<void> {
    this.#isStopped = true
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
  }

  async #append(events: readonly NewEvent[], expected: Expected | undefined): Promise<Appended[]> {
    if (this.#isStopped) throw unavailable('The log is closed.')
    const refusal = expected ? this.#conflict(expected) : this.#options.retained().finite.refusal(events)
    if (refusal) throw refusal
    const deadline = monotonicNow() + this.#options.timeout
    const { appended, left } = await this.#findKnown(events, deadline)
    const epoch = this.#options.epoch()
    if (!expected) this.#requireTopics(events, left)
    this.#requireSizes(events, left)
    const added = left.map((index) => events[index]!.topic)
    for (const topic of added) this.#added.set(topic, (this.#added.get(topic) ?? 0) + 1)
    try {
      const last = await within(deadline, this.#store(events, left, appended, deadline, expected))
      await within(deadline, this.#options.reach(last))
      if (this.#options.epoch() !== epoch) throw unavailable('The log was replaced while the events were stored.')
    } catch (err) {
      if (monotonicNow() + RETRY >= deadline && this.#options.link.isUp) this.#options.onUnanswered()
      throw expected && isConflict(err) ? conflict(expected, undefined) : err
    } finally {
      for (const topic of added) {
        const count = this.#added.get(topic)! - 1
        if (count > 0) this.#added.set(topic, count)
        else this.#added.delete(topic)
      }
    }
    return withRepeats(events, appended)
  }

  /**
   * Finds the results of events with known ids, and the indexes of the other events. The ids that this process knows
   * are those of the stream that it follows: a stream that has replaced it has its own.
   */
  async #findKnown(
    events: readonly NewEvent[],
    deadline: number,
  ): Promise<{ appended: (Appended | undefined)[]; left: number[] }> {
    for (;;) {
      const appended = new Array<Appended | undefined>(events.length).fill(undefined) // `map` skips holes
      const left = this.#withoutDuplicates(events, appended)
      if (appended.every((known) => known === undefined) || (await this.#options.isSame())) return { appended, left }
      if (monotonicNow() + RETRY >= deadline) throw unavailable('The log was replaced.')
      await delay(RETRY)
    }
  }

  /**
   * Sets the results of events with known ids. Returns the indexes of the other events without a result, each id once.
   */
  #withoutDuplicates(events: readonly NewEvent[], appended: (Appended | undefined)[]): number[] {
    const known = this.#options.ids()
    const left: number[] = []
    const ids = new Set<string>()
    for (const [index, { topic, id }] of events.entries()) {
      const key = id === undefined ? undefined : messageId(topic, id)
      if (key === undefined) {
        if (!appended[index]) left.push(index)
        continue
      }
      const sequence = appended[index] ? undefined : known.find(key)
      if (sequence !== undefined) appended[index] = { sequence, duplicate: true }
      else if (!appended[index] && !ids.has(key)) left.push(index)
      ids.add(key)
    }
    return left
  }

  /**
   * Stores the remaining events: as several batches if one atomic batch cannot hold them.
   * @returns the sequence up to which the followers have to get the events
   */
  async #store(
    events: readonly NewEvent[],
    left: readonly number[],
    appended: (Appended | undefined)[],
    deadline: number,
    expected: Expected | undefined,
  ): Promise<number> {
    let last = newestOf(appended)
    for (let start = 0; start < left.length; start += BATCH_EVENTS) {
      const part = left.slice(start, start + BATCH_EVENTS)
      const condition = expected && { topic: expected.topic, sequence: start === 0 ? expected.sequence : last, start }
      last = Math.max(last, await this.#storePart(events, part, appended, deadline, condition))
    }
    return last
  }

  async #storePart(
    events: readonly NewEvent[],
    left: readonly number[],
    appended: (Appended | undefined)[],
    deadline: number,
    condition: Condition | undefined,
  ): Promise<number> {
    const last = newestOf(appended)
    if (left.length === 0) return last
    const messages = this.#toMessages(events, left)
    if (condition) this.#expect(messages, condition)
    if (left.length === 1) {
      const { seq, duplicate = false } = await this.#retry(deadline, isRepeatable(events, left), (time) =>
        this.#send(messages[0]!, time),
      )
      appended[left[0]!] = { sequence: seq, duplicate }
      return Math.max(last, seq)
    }
    const seq = await this.#sendBatch(messages, deadline, isRepeatable(events, left))
    if (seq === undefined) {
      await this.#findDuplicates(events, left, deadline)
      const others = this.#withoutDuplicates(events, appended).filter((index) => left.includes(index))
      return this.#storePart(events, others, appended, deadline, condition)
    }
    for (const [n, index] of left.entries()) appended[index] = { sequence: seq - left.length + 1 + n, duplicate: false }
    return Math.max(last, seq)
  }

  /**
   * Finds the ids in a batch that JetStream knows, and this process does not. Each id is sent with a condition that is
   * never met: JetStream recognises a duplicate before it checks the condition.
   */
  async #findDuplicates(events: readonly NewEvent[], indexes: readonly number[], deadline: number): Promise<void> {
    const { ids, subjects } = this.#options
    await Promise.all(
      indexes.map(async (index) => {
        const { topic, id } = events[index]!
        if (id === undefined) return
        const question = toQuestion(subjects, topic, id)
        try {
          const { seq } = await this.#retry(deadline, true, (time) => this.#send(question, time))
          ids().add(messageId(topic, id), seq)
        } catch (err) {
          if (!(err instanceof JetStreamError) || err.code !== OTHER_LAST_ID) throw err
        }
      }),
    )
  }

  /** Sends an atomic batch. Returns the sequence of its last event; `undefined`: the batch has a duplicate. */
  async #sendBatch(
    messages: readonly EventMessage[],
    deadline: number,
    isRepeatable: boolean,
  ): Promise<number | undefined> {
    if (this.#batches >= MAX_BATCHES) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#batches++
    try {
      const { seq } = await this.#retry(deadline, isRepeatable, (time) => {
        const batch = randomBytes(12).toString('base64url')
        for (const [n, message] of messages.entries()) {
          const isLast = n === messages.length - 1
          addToBatch(message, batch, n + 1, isLast)
          if (isLast) return this.#send(message, time)
          this.#options.link.connection.publish(message.subject, message.payload, { headers: message.headers })
        }
        throw new Error('a batch has events')
      })
      return seq
    } catch (err) {
      if (err instanceof JetStreamError && err.code === DUPLICATE_IN_BATCH) return undefined
      throw err
    } finally {
      this.#batches--
      this.#waiting.shift()?.()
    }
  }

  #send({ subject, payload, headers }: EventMessage, timeout: number): Promise<Ack> {
    const { requests, head, onStored } = this.#options
    const before = head()
    return requests.send<Ack>(subject, payload, { headers, timeout }, (message, resolve) => {
      const ack = answerOf<Ack>(message)
      if (ack.duplicate !== true) onStored(ack.seq, before)
      resolve(ack)
    })
  }

  /**
   * Sends until there is an answer, or the deadline has passed.
   * @param isRepeatable whether JetStream recognises events that are sent twice
   */
  async #retry(deadline: number, isRepeatable: boolean, send: (timeout: number) => Promise<Ack>): Promise<Ack> {
    for (;;) {
      if (monotonicNow() >= deadline) throw new Error('it has not answered in time')
      if (this.#options.link.isUp) {
        try {
          const left = Math.max(1, deadline - monotonicNow())
          return await send(isRepeatable ? Math.min(left, ATTEMPT) : left)
        } catch (err) {
          const isTemporary =
            err instanceof NoResponderError || (err instanceof JetStreamError && TEMPORARY.has(err.code))
          const isUnknown = !(err instanceof JetStreamError)
          if (!isTemporary && !(isUnknown && isRepeatable)) throw err
          if (monotonicNow() + RETRY >= deadline) throw err
        }
      } else if (monotonicNow() + RETRY >= deadline) throw new Error('there is no connection')
      await delay(RETRY)
    }
  }

  /** Returns the refusal of an append whose condition this process knows not to be met. */
  #conflict(expected: Expected): HubError | undefined {
    const newest = this.#newest(expected.topic)
    return newest > expected.sequence ? conflict(expected, newest) : undefined
  }

  #newest(topic: string): number {
    return this.#options.retained().get(topic)?.events.newest?.sequence ?? 0
  }

  /**
   * Puts the condition on the first message, and spreads the messages of a finite topic over its subjects. Their number
   * is exact if the condition is met.
   */
  #expect(messages: readonly EventMessage[], { topic, sequence, start }: Condition): void {
    const { subjects, retained } = this.#options
    const isFinite = retained().finite.has(topic)
    if (isFinite) {
      const before = (retained().get(topic)?.events.length ?? 0) + start
      for (const [n, message] of messages.entries())
        message.subject = subjects.ofFinite(topic, Math.floor((before + n) / PART_EVENTS))
    }
    expectLast(messages[0]!, isFinite ? subjects.ofFinite(topic) : subjects.of(topic), sequence)
  }

  #toMessages(events: readonly NewEvent[], indexes: readonly number[]): EventMessage[] {
    return indexes.map((index) => toMessage(this.#options.subjects, events[index]!))
  }

  /**
   * Checks that the NATS server accepts messages of the size of the events.
   * @throws HubError `event-too-large`
   */
  #requireSizes(events: readonly NewEvent[], indexes: readonly number[]): void {
    const limit = this.#options.link.connection.info?.max_payload ?? Infinity
    for (const index of indexes) {
      const event = events[index]!
      if (lengthOf(event) * UTF8_MOST + HEADERS_MOST <= limit) continue
      const size = sizeOf(toMessage(this.#options.subjects, event)) + BATCH_HEADERS
      if (size <= limit) continue
      const refusal = new HubError(
        'event-too-large',
        `The event has ${size} bytes as a message, and the NATS server allows ${limit} (max_payload). Raise max_payload, or publish smaller events.`,
      )
      refusal.index = index
      throw refusal
    }
  }

  /**
   * Checks that events do not exceed the maximum number of topics, as far as this process knows the topics.
   * @throws HubError `too-many-topics`
   */
  #requireTopics(events: readonly NewEvent[], indexes: readonly number[]): void {
    const { maxTopics } = this.#options
    const retained = this.#options.retained()
    if (retained.topics + this.#added.size + indexes.length <= maxTopics) return
    const topics = new Set<string>()
    for (const topic of this.#added.keys()) if (!retained.has(topic)) topics.add(topic)
    for (const index of indexes) {
      const { topic } = events[index]!
      if (retained.has(topic)) continue
      if (retained.topics + topics.add(topic).size > maxTopics) throw tooManyTopics(events[index]!, index, maxTopics)
    }
  }
}

/** Whether JetStream has refused a message since its condition is not met. */
function isConflict(err: unknown): boolean {
  const cause = err instanceof HubError ? err.cause : err
  return cause instanceof JetStreamError && cause.code === OTHER_LAST_SEQUENCE
}

function newestOf(appended: readonly (Appended | undefined)[]): number {
  return appended.reduce((newest, known) => Math.max(newest, known?.sequence ?? 0), 0)
}

/** Whether JetStream recognises events that are sent twice. */
function isRepeatable(events: readonly NewEvent[], indexes: readonly number[]): boolean {
  return indexes.every((index) => events[index]!.id !== undefined)
}

/** Adds the results of events that repeat the id of an earlier event of the list. */
function withRepeats(events: readonly NewEvent[], appended: readonly (Appended | undefined)[]): Appended[] {
  const first = new Map<string, number>()
  return appended.map((known, index) => {
    const { topic, id } = events[index]!
    const key = id === undefined ? undefined : messageId(topic, id)
    if (!known) return { sequence: first.get(key!)!, duplicate: true }
    if (key !== undefined && !first.has(key)) first.set(key, known.sequence)
    return known
  })
}
