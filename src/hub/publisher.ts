/** Publishes events: checks them, appends them to the log, dispatches ephemeral ones, and returns receipts. */
import {
  finiteRefusal,
  type Appended,
  type EventLog,
  type Following,
  type LogDelta,
  type Replacement,
} from '../log/log.js'
import {
  checkEvent,
  checkEvents,
  checkInput,
  isType,
  requireChecked,
  type CheckedEvent,
  type EventInput,
  type NewEvent,
  type StoredEvent,
} from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import { isString, oneOf, optional, shapeOf } from '../model/shape.js'
import type { EventTopic } from '../model/topic.js'
import type { TraceContext } from '../model/trace-context.js'
import type { Encoder } from '../wire/sse.js'
import type { ClusterMessage } from '../cluster/cluster.js'
import type { Messenger } from './cluster/messenger.js'
import type { EventReaders } from './event-reader.js'
import type { Fanout } from './fanout.js'
import type { HubFiniteTopics } from './finite/finite-topics.js'
import type { Intake } from './intake.js'
import type { Timing } from './latency.js'
import type { Lifecycle } from './lifecycle.js'
import type { SystemTopics } from './system-topics.js'
import type { TypedTopics } from './typed-topics/typed-topics.js'

/** The result of publishing one event. */
export interface Receipt {
  /** The cursor of the event; `null`: the event is ephemeral. */
  id: string | null
  topic: string
  /** Whether the log already had an event with this publisher id, so that nothing was stored. */
  duplicate: boolean
  /** The number of subscribers of this process that get the event. */
  subscribers: number
}

/** The result of publishing many events. */
export interface Tally {
  accepted: number
  /** The number of events that were duplicates by their publisher ids. */
  duplicates: number
  /** The cursor of the last stored event; `null`: all events are ephemeral. */
  lastId: string | null
}

/** The parts of the hub that a publisher works with. */
export interface PublisherSource {
  log: EventLog
  lifecycle: Lifecycle
  encoder: Encoder
  fanout: Fanout
  intake: Intake
  /** Counts each event of the log. */
  systemTopics: SystemTopics
  /** Notified of each stored event. */
  readers: EventReaders
  finite: HubFiniteTopics
  /** Sends each ephemeral event to the other processes. */
  messenger: Messenger
  /** Ends the streams, so that their subscribers resume and get a gap. */
  interrupt: (replaced: Replacement | undefined) => void
}

/** An ephemeral event for the streams of the other processes. */
interface EphemeralMessage extends ClusterMessage {
  kind: 'ephemeral'
  event: NewEvent
}

const isNewEvent = shapeOf<NewEvent>({
  topic: isString,
  type: optional(isType),
  id: optional(isString),
  attributes: optional(isString),
  kind: oneOf('json', 'text', 'bytes'),
  payload: isString,
})

export class Publisher {
  readonly #log: EventLog
  readonly #lifecycle: Lifecycle
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #intake: Intake
  readonly #systemTopics: SystemTopics
  readonly #readers: EventReaders
  readonly #finite: HubFiniteTopics
  readonly #messenger: Messenger
  readonly #interrupt: PublisherSource['interrupt']
  readonly #maxEventSize: number
  readonly #typedTopics: TypedTopics | undefined
  #following: Following | undefined

  /**
   * @param maxEventSize the maximum size of an event's payload, in bytes
   * @param typedTopics the schemas of topics; `undefined`: no topic has a schema
   */
  constructor(
    { log, lifecycle, encoder, fanout, intake, systemTopics, readers, finite, messenger, interrupt }: PublisherSource,
    maxEventSize: number,
    typedTopics: TypedTopics | undefined,
  ) {
    this.#log = log
    this.#lifecycle = lifecycle
    this.#encoder = encoder
    this.#fanout = fanout
    this.#intake = intake
    this.#systemTopics = systemTopics
    this.#readers = readers
    this.#finite = finite
    this.#messenger = messenger
    this.#interrupt = interrupt
    this.#maxEventSize = maxEventSize
    this.#typedTopics = typedTopics
    messenger.onBroadcast<EphemeralMessage>('ephemeral', shapeOf({ event: isNewEvent }), ({ event }) =>
      this.#dispatchEphemeral(event),
    )
  }

  /** Starts to dispatch the events that are appended to the log by any process. */
  async start(): Promise<void> {
    this.#following = await this.#log.follow((delta) => this.#apply(delta))
    this.#fanout.begin(this.#following.head)
  }

  /** Stops dispatching the events of the log. */
  stop(): void {
    this.#following?.stop()
  }

  /**
   * Publishes one event. Resolves when it is durable.
   * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event`, `event-too-large`, `schema-mismatch`,
   *   `finite-topic`, `too-many-topics`, `too-many-ids`, `log-unavailable`
   */
  async publish(topic: string, input: EventInput, trace?: TraceContext): Promise<Receipt> {
    const event = checkEvent(topic, input, this.#maxEventSize, trace)
    this.#typedTopics?.check(event)
    return this.publishOne(event)
  }

  /**
   * Publishes up to 1,000 events, all or none: all are checked before any is stored. Resolves when they are durable.
   * @throws HubError as `publish`; its `index` is the index of the refused event, and its message begins with it
   */
  async publishAll(inputs: readonly (EventInput & { topic: string })[], trace?: TraceContext): Promise<Receipt[]> {
    try {
      const events = checkEvents(inputs, this.#maxEventSize, trace)
      if (this.#typedTopics) checkSchemas(this.#typedTopics, events)
      return await this.publishChecked(events)
    } catch (err) {
      if (err instanceof HubError && err.index !== undefined) err.message = `events[${err.index}]: ${err.message}`
      throw err
    }
  }

  /**
   * Checks an event before its publish.
   * @param trace the trace that the event belongs to
   * @throws HubError `invalid-event`, `event-too-large`, `schema-mismatch`
   */
  check(topic: EventTopic, input: EventInput, trace?: TraceContext): CheckedEvent {
    const event = checkInput(topic, input, this.#maxEventSize, trace)
    this.#typedTopics?.check(event)
    return event
  }

  /**
   * Publishes one event that `check` has returned.
   * @throws HubError as `publishChecked`, without an `index`
   */
  async publishOne(event: CheckedEvent): Promise<Receipt> {
    this.#lifecycle.requireOpen()
    requireChecked([event])
    if (event.ephemeral && this.#finite.has(event.topic)) throw finiteRefusal(event.topic)
    const timing = this.#intake.time()
    const receipt = this.#receipt(
      event,
      event.ephemeral ? this.#publishEphemeral(event) : await this.#appendOne(event, timing),
    )
    if (timing && receipt.subscribers > 0) this.#fanout.measure(timing)
    return receipt
  }

  /**
   * Publishes events that `check` has returned, all or none. Stored events get consecutive sequences; ephemeral events
   * are sent after them.
   * @throws HubError `finite-topic`, `too-many-topics` or `too-many-ids` with the `index` of the event,
   *   `log-unavailable`, `hub-closed`; `invalid-event` for any value that `check` has not returned
   */
  async publishChecked(events: readonly CheckedEvent[]): Promise<Receipt[]> {
    const outcomes = await this.#publish(events)
    return outcomes.map((outcome, index) => this.#receipt(events[index]!, outcome))
  }

  /** As `publishChecked`, without a receipt for each event. */
  async publishMany(events: readonly CheckedEvent[]): Promise<Tally> {
    let duplicates = 0
    let last = 0
    for (const outcome of await this.#publish(events)) {
      if (outcome?.duplicate) duplicates++
      if (outcome) last = outcome.sequence
    }
    return { accepted: events.length, duplicates, lastId: last === 0 ? null : this.#encoder.cursor(last) }
  }

  /**
   * Refuses ephemeral events of finite topics. The log itself refuses other ones.
   * @throws HubError `finite-topic`, with the `index` of the event
   */
  #refuseFinite(events: readonly CheckedEvent[]): void {
    if (this.#finite.size === 0) return
    for (const [index, { ephemeral, topic }] of events.entries()) {
      if (!ephemeral || !this.#finite.has(topic)) continue
      const refusal = finiteRefusal(topic)
      refusal.index = index
      throw refusal
    }
  }

  async #appendOne(event: CheckedEvent, timing: Timing | undefined): Promise<Appended> {
    try {
      const [appended] = this.#intake.stored(await this.#log.append([event]), 1, timing)
      return appended!
    } catch (err) {
      if (err instanceof HubError) err.index = undefined // a single event needs no index
      throw err
    }
  }

  /** Appends the stored events of a batch. Converts the index of a refusal to the index in the whole batch. */
  async #append(kept: CheckedEvent[], events: readonly CheckedEvent[], timing?: Timing): Promise<Appended[]> {
    try {
      return this.#intake.stored(await this.#log.append(kept), kept.length, timing)
    } catch (err) {
      if (err instanceof HubError && err.index !== undefined) err.index = events.indexOf(kept[err.index]!)
      throw err
    }
  }

  /** @returns the log's result for each event; `undefined`: the event is ephemeral, and was sent */
  async #publish(events: readonly CheckedEvent[]): Promise<(Appended | undefined)[]> {
    this.#lifecycle.requireOpen()
    requireChecked(events)
    const timing = this.#intake.time()
    this.#refuseFinite(events)
    const kept = events.filter(({ ephemeral }) => !ephemeral)
    const appended = kept.length > 0 ? await this.#append(kept, events, timing) : []
    let next = 0
    const outcomes =
      kept.length === events.length
        ? appended
        : events.map((event) => (event.ephemeral ? this.#publishEphemeral(event) : appended[next++]))
    if (timing && outcomes.some((outcome, index) => this.#reach(events[index]!, outcome) > 0))
      this.#fanout.measure(timing)
    return outcomes
  }

  #dispatchEphemeral(event: NewEvent): void {
    this.#systemTopics.published(event)
    this.#fanout.dispatchEphemeral(event)
  }

  #publishEphemeral(event: NewEvent): undefined {
    this.#intake.ephemeral()
    this.#dispatchEphemeral(event)
    this.#messenger.broadcast({ kind: 'ephemeral', event } satisfies EphemeralMessage)
  }

  /** Applies a change of the log, whichever process has made it. */
  #apply({ events, trims, replaced }: LogDelta): void {
    const until = Math.max(replaced?.head ?? this.#fanout.head, events.at(-1)?.sequence ?? 0)
    // Live streams miss events that were trimmed before a delta had them.
    if (replaced !== undefined || trims.some((trim) => trim.until > until)) this.#interrupt(replaced)
    this.#finite.apply(events)
    this.#dispatch(events)
  }

  /** Dispatches events of the log, whichever process has appended them. */
  #dispatch(events: readonly StoredEvent[]): void {
    for (const event of events) {
      this.#systemTopics.published(event, event.time)
      this.#readers.published(event)
      this.#fanout.dispatch(event)
    }
  }

  /** Returns the number of subscribers that get an event. */
  #reach({ topic, type }: NewEvent, outcome: Appended | undefined): number {
    return outcome?.duplicate ? 0 : this.#fanout.count(topic, type)
  }

  /** @param outcome the log's result; `undefined`: the event is ephemeral */
  #receipt(event: CheckedEvent, outcome: Appended | undefined): Receipt {
    const id = outcome ? this.#encoder.cursor(outcome.sequence) : null
    return { id, topic: event.topic, duplicate: outcome?.duplicate ?? false, subscribers: this.#reach(event, outcome) }
  }
}

/** @throws HubError `schema-mismatch` with the `index` of the event */
function checkSchemas(typedTopics: TypedTopics, events: readonly CheckedEvent[]): void {
  for (const [index, event] of events.entries()) {
    try {
      typedTopics.check(event)
    } catch (err) {
      if (err instanceof HubError) err.index = index
      throw err
    }
  }
}
