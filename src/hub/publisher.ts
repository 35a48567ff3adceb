/** Publishes events: checks them, stores those that are kept, sends them, and says what became of them. */
import type { Appended, EventLog, Following } from '../log/log.js'
import {
  checkEvent,
  checkEvents,
  requireChecked,
  type CheckedEvent,
  type EventInput,
  type NewEvent,
  type StoredEvent,
} from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import type { Encoder } from '../wire/sse.js'
import type { Dispatcher } from './dispatcher.js'
import type { EventReaders } from './event-reader.js'
import type { Fanout } from './fanout.js'
import type { Lifecycle } from './lifecycle.js'
import type { Neighbours } from './neighbours.js'
import type { SystemTopics } from './system-topics.js'

/** What became of a published event. */
export interface Receipt {
  /** Its cursor; `null` for an ephemeral event. */
  id: string | null
  topic: string
  /** Nothing was stored: an event with this publisher id is there already. */
  duplicate: boolean
  /** How many subscribers of this hub it is being sent to. */
  subscribers: number
}

/** What became of many events. */
export interface Tally {
  accepted: number
  /** How many of these were there already, each with the same publisher id. */
  duplicates: number
  /** The cursor of the last one that is not ephemeral; `null`: all are. */
  lastId: string | null
}

/** The parts of the hub that a publisher works with. */
export interface PublisherSource {
  log: EventLog
  lifecycle: Lifecycle
  encoder: Encoder
  dispatcher: Dispatcher
  fanout: Fanout
  /** Are told of each event that is published. */
  systemTopics: SystemTopics
  /** Are told of each event that is stored. */
  readers: EventReaders
  /** Are sent each ephemeral event. */
  neighbours: Neighbours
}

export class Publisher {
  readonly #log: EventLog
  readonly #lifecycle: Lifecycle
  readonly #encoder: Encoder
  readonly #dispatcher: Dispatcher
  readonly #fanout: Fanout
  readonly #systemTopics: SystemTopics
  readonly #readers: EventReaders
  readonly #neighbours: Neighbours
  readonly #maxEventSize: number
  #following: Following | undefined

  /** @param maxEventSize the most bytes that the payload of an event may have */
  constructor(
    { log, lifecycle, encoder, dispatcher, fanout, systemTopics, readers, neighbours }: PublisherSource,
    maxEventSize: number,
  ) {
    this.#log = log
    this.#lifecycle = lifecycle
    this.#encoder = encoder
    this.#dispatcher = dispatcher
    this.#fanout = fanout
    this.#systemTopics = systemTopics
    this.#readers = readers
    this.#neighbours = neighbours
    this.#maxEventSize = maxEventSize
  }

  /** Sends what is appended to the log from now on, whichever process appends it. */
  async start(): Promise<void> {
    this.#following = await this.#log.follow(({ events }) => this.#dispatch(events))
    this.#dispatcher.begin(this.#following.head)
  }

  /** No longer sends what is appended to the log. */
  stop(): void {
    this.#following?.stop()
  }

  /**
   * Publishes one event. Resolves when it is durable.
   * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event`, `event-too-large`, `too-many-topics`,
   * `too-many-ids`, `log-unavailable`
   */
  async publish(topic: string, input: EventInput): Promise<Receipt> {
    const event = this.check(topic, input)
    this.#lifecycle.requireOpen()
    const since = this.#systemTopics.clock()
    const receipt = this.#receipt(event, event.ephemeral ? this.#publishEphemeral(event) : await this.#appendOne(event))
    if (since !== undefined && receipt.subscribers > 0) this.#fanout.measure(since)
    return receipt
  }

  /**
   * Publishes up to 1,000 events, all or none: each is checked before any is stored. Resolves when they are durable.
   * @throws HubError as `publish`; its `index` is that of the event that was refused
   */
  async publishAll(inputs: readonly (EventInput & { topic: string })[]): Promise<Receipt[]> {
    return this.publishChecked(checkEvents(inputs, this.#maxEventSize))
  }

  /**
   * Checks an event that is to be published.
   * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event`, `event-too-large`
   */
  check(topic: string, input: EventInput): CheckedEvent {
    return checkEvent(topic, input, this.#maxEventSize)
  }

  /**
   * Publishes events that `check` has returned, all or none. The sequences of those that are stored are consecutive;
   * ephemeral ones are sent after them.
   * @throws HubError `too-many-topics` or `too-many-ids` with the `index` of the event, `log-unavailable`,
   *   `hub-closed`; `invalid-event` for anything that `check` has not returned
   */
  async publishChecked(events: readonly CheckedEvent[]): Promise<Receipt[]> {
    const outcomes = await this.#publish(events)
    return outcomes.map((outcome, index) => this.#receipt(events[index]!, outcome))
  }

  /** As `publishChecked`, for those who have no use for a receipt of each event. */
  async publishMany(events: readonly CheckedEvent[]): Promise<Tally> {
    let duplicates = 0
    let last = 0
    for (const outcome of await this.#publish(events)) {
      if (outcome?.duplicate) duplicates++
      if (outcome) last = outcome.sequence
    }
    return { accepted: events.length, duplicates, lastId: last === 0 ? null : this.#encoder.cursor(last) }
  }

  async #appendOne(event: CheckedEvent): Promise<Appended> {
    try {
      const [appended] = await this.#log.append([event])
      return appended!
    } catch (err) {
      if (err instanceof HubError) err.index = undefined // it is the only one
      throw err
    }
  }

  /** Stores those of some events that are kept; which of all was refused is named by its index. */
  async #append(kept: CheckedEvent[], events: readonly CheckedEvent[]): Promise<Appended[]> {
    try {
      return await this.#log.append(kept)
    } catch (err) {
      if (err instanceof HubError && err.index !== undefined) err.index = events.indexOf(kept[err.index]!)
      throw err
    }
  }

  /** @returns what became of each in the log; `undefined`: it is ephemeral, and was sent */
  async #publish(events: readonly CheckedEvent[]): Promise<(Appended | undefined)[]> {
    this.#lifecycle.requireOpen()
    requireChecked(events)
    const since = this.#systemTopics.clock()
    const kept = events.filter(({ ephemeral }) => !ephemeral)
    const appended = kept.length > 0 ? await this.#append(kept, events) : []
    let next = 0
    const outcomes =
      kept.length === events.length
        ? appended
        : events.map((event) => (event.ephemeral ? this.#publishEphemeral(event) : appended[next++]))
    if (since !== undefined && outcomes.some((outcome, index) => this.#reach(events[index]!, outcome) > 0))
      this.#fanout.measure(since)
    return outcomes
  }

  /** Sends an ephemeral event that another process has published. */
  dispatchEphemeral(event: NewEvent): void {
    this.#systemTopics.published(event)
    this.#dispatcher.dispatchEphemeral(event)
  }

  #publishEphemeral(event: NewEvent): undefined {
    this.dispatchEphemeral(event)
    this.#neighbours.publish(event)
  }

  /** Sends events of the log, whoever appended them. */
  #dispatch(events: readonly StoredEvent[]): void {
    for (const event of events) {
      this.#systemTopics.published(event)
      this.#readers.published(event)
      this.#dispatcher.dispatch(event)
    }
  }

  /** How many subscribers an event is being sent to. */
  #reach({ topic, type }: NewEvent, outcome: Appended | undefined): number {
    return outcome?.duplicate ? 0 : this.#fanout.count(topic, type)
  }

  /** @param outcome what became of it in the log; `undefined`: it is ephemeral */
  #receipt(event: CheckedEvent, outcome: Appended | undefined): Receipt {
    const id = outcome ? this.#encoder.cursor(outcome.sequence) : null
    return { id, topic: event.topic, duplicate: outcome?.duplicate ?? false, subscribers: this.#reach(event, outcome) }
  }
}
