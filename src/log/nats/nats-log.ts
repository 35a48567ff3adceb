/**
 * A log on NATS JetStream, which any number of processes and machines share. The sequences of the stream are those of
 * the log. Each process follows the stream with one consumer, and builds its index of the log from the messages.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicNow } from '../../model/clock.js'
import type { NewEvent, ScannedEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { printSize } from '../../model/units.js'
import { NatsError } from '../../nats/nats-error.js'
import { NatsLink } from '../../nats/nats-link.js'
import type { NatsOptions } from '../../nats/nats-options.js'
import { FiniteNames } from '../finite-names.js'
import { Followers } from '../followers.js'
import {
  NO_EVENTS,
  type Appended,
  type AppendOptions,
  type ApplyDelta,
  type Beginning,
  type EventLog,
  type Following,
  type Located,
  type LogStats,
  type LogView,
  type Page,
  type ReadOptions,
  type Retention,
  type ScanResult,
  type Span,
  type TopicDescription,
  type TopicProperties,
  type TopicsOptions,
  type TopicsPage,
} from '../log.js'
import type { KeptEvent } from '../memory/kept-event.js'
import { describeTopic, readProperties, writeProperties } from '../topic-properties.js'
import { Calls, unavailable } from './calls.js'
import { DirectGet } from './direct-get.js'
import type { EventIndex } from './event-index.js'
import { EventSource } from './event-source.js'
import { isTemporary, JetStream } from './jetstream.js'
import { Subjects } from './messages.js'
import { NatsAppender } from './nats-appender.js'
import { NatsReader } from './nats-reader.js'
import { NatsRecords } from './nats-records.js'
import { Requests } from './requests.js'
import { eventStream, provideStream, recordStream, SPARE_BYTES } from './stream-config.js'
import { StreamFollower } from './stream-follower.js'
import { StreamGuard } from './stream-guard.js'

/** The maximum time of a request to JetStream, in milliseconds: a cluster without a leader does not answer. */
const ATTEMPT = 2_000
/** The time between two attempts to open the log, in milliseconds. */
const RETRY = 100
/** The time for which the bucket keeps the mark of a purge beyond the maximum age of events, in seconds. */
const PURGE_MARGIN = 3_600
const MAX_TTL = 9e9

export interface NatsLogOptions {
  nats: NatsOptions
  /** The number of servers that keep the events. */
  replicas: number
  retention: Retention
  /** Called when events cannot be stored, and when they can again. */
  onHealth?: (failure: Error | undefined) => void
  /** Called with messages for the operator. */
  onNotice?: (message: string) => void
  /** The wall clock by which records expire, in milliseconds; for tests. */
  now?: () => number
}

export class NatsLog implements EventLog {
  readonly view: LogView
  readonly records: NatsRecords
  readonly #options: NatsLogOptions
  readonly #link: NatsLink
  readonly #calls: Calls
  readonly #jetstream: JetStream
  readonly #subjects: Subjects
  readonly #requests: Requests
  readonly #source: EventSource
  readonly #appender: NatsAppender
  readonly #followers = new Followers()
  readonly #follower: StreamFollower
  readonly #guard: StreamGuard
  #reader!: NatsReader
  #isClosed = false

  /**
   * Opens the log. Creates the stream and the bucket if they do not exist.
   * @throws NatsError if NATS cannot be used
   */
  static async open(options: NatsLogOptions): Promise<NatsLog> {
    const link = await NatsLink.open(options.nats, 'fanfare log')
    const log = new NatsLog(options, link)
    try {
      await log.#start()
      return log
    } catch (err) {
      await log.close()
      if (err instanceof NatsError) throw err
      const message = err instanceof Error ? err.message : String(err)
      throw new NatsError(
        `The log on NATS cannot be used: ${message}. Check that JetStream is enabled for the account of the hub (nats-server -js), and has room for FANFARE_RETAIN_BYTES and ${printSize(SPARE_BYTES)} more.`,
        { cause: err },
      )
    }
  }

  private constructor(options: NatsLogOptions, link: NatsLink) {
    const { prefix, timeout } = options.nats
    this.#options = options
    this.#link = link
    this.#calls = new Calls(link, timeout)
    const jetstream = (this.#jetstream = new JetStream(link, Math.min(timeout, ATTEMPT)))
    this.#subjects = new Subjects(prefix)
    this.#requests = new Requests(link)
    const finite = new FiniteNames() // the topics whose events are not trimmed
    const directGet = new DirectGet(this.#requests, prefix, timeout)
    this.#source = new EventSource(jetstream, directGet, prefix, this.#subjects, finite)
    this.#follower = this.#createFollower(finite)
    this.#guard = this.#createGuard()
    this.records = this.#createRecords(finite)
    this.#appender = this.#createAppender()
    this.view = new NatsView(this.#follower, this.#guard)
  }

  /** @param finite the topics whose events are not trimmed */
  #createFollower(finite: FiniteNames): StreamFollower {
    const { nats, retention, onNotice } = this.#options
    return new StreamFollower({
      link: this.#link,
      jetstream: this.#jetstream,
      stream: nats.prefix,
      subjects: this.#subjects,
      retention,
      finite,
      followers: this.#followers,
      learnPurges: () => this.records.catchUp(),
      onBegin: (index) => this.#begin(index),
      onNotice: (message) => onNotice?.(message),
    })
  }

  #createGuard(): StreamGuard {
    const { nats, replicas, retention, onHealth, onNotice } = this.#options
    return new StreamGuard({
      link: this.#link,
      jetstream: this.#jetstream,
      follower: this.#follower,
      config: eventStream(nats.prefix, retention, replicas),
      patience: nats.timeout,
      onHealth: (failure) => onHealth?.(failure),
      onNotice: (message) => onNotice?.(message),
    })
  }

  #createRecords(finite: FiniteNames): NatsRecords {
    const { nats, retention, now } = this.#options
    const follower = this.#follower
    return new NatsRecords({
      link: this.#link,
      jetstream: this.#jetstream,
      requests: this.#requests,
      timeout: nats.timeout,
      stream: recordStream(nats.prefix, 1).name,
      purgeTtl: Math.min(MAX_TTL, Math.ceil(retention.age / 1_000) + PURGE_MARGIN),
      now,
      onChange: (change) => {
        finite.changed([change])
        follower.tell(NO_EVENTS, [change])
      },
      onPurge: (topic, mark, sequence) => follower.purge(topic, mark, sequence),
      ask: (request) => this.#calls.ask(request),
    })
  }

  #createAppender(): NatsAppender {
    const { nats, retention } = this.#options
    const follower = this.#follower
    const guard = this.#guard
    return new NatsAppender({
      link: this.#link,
      requests: this.#requests,
      subjects: this.#subjects,
      epoch: () => follower.epoch,
      isSame: () => this.#calls.askAgain(() => guard.isSame()),
      ids: () => follower.ids,
      retained: () => follower.index.retained,
      maxTopics: retention.topics ?? Infinity,
      timeout: nats.timeout,
      head: () => follower.index.head,
      onStored: (sequence, head) => guard.stored(sequence, head),
      reach: (sequence) => follower.reach(sequence),
    })
  }

  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]> {
    return this.#appender.append(events, options)
  }

  async follow(apply: ApplyDelta): Promise<Following> {
    return this.#followers.add(apply, this.view)
  }

  scan(selection: Selection, span: Span, visit: (event: ScannedEvent) => boolean): Promise<ScanResult> {
    return this.#reader.scan(selection, span, visit)
  }

  locate(selection: Selection, beginning: Beginning): Promise<Located> {
    return this.#reader.locate(selection, beginning)
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#reader.newest(selection, options)
  }

  async topic(name: string): Promise<TopicDescription | undefined> {
    const properties = await readProperties(this.records, name)
    return describeTopic(name, this.#follower.index.retained.statsOf(name), properties)
  }

  setTopic(name: string, properties: TopicProperties | undefined): Promise<void> {
    return writeProperties(this.records, name, properties)
  }

  topics(options: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    return this.#reader.topics(options, accepts)
  }

  /** Marks the events as purged first, so that every process reports the gap even if this one ends meanwhile. */
  async purge(topic: string): Promise<number> {
    const { prefix } = this.#options.nats
    const { index, epoch } = this.#follower
    const newest = index.retained.get(topic)?.events.newest?.sequence
    if (newest === undefined) return 0
    const mark = await this.records.markPurge(topic, { epoch, until: newest })
    const purged = await this.#follower.purgedBy(mark)
    for (const subject of [this.#subjects.of(topic), this.#subjects.ofFinite(topic)])
      await this.#calls.ask(() => this.#jetstream.purge(prefix, subject, newest + 1))
    return purged
  }

  catchUp(): Promise<void> {
    return this.#calls.askAgain(() => this.#follower.settle())
  }

  async halt(): Promise<void> {
    await this.#appender.stop()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#appender.stop()
    this.#isClosed = true
    this.#calls.close()
    await this.#guard.stop()
    this.#follower.stop()
    this.records.stop()
    this.#requests.close()
    this.#followers.clear()
    await this.#link.close()
  }

  /** Opens the log. A cluster that is starting may not answer at once. */
  async #start(): Promise<void> {
    const deadline = monotonicNow() + this.#options.nats.timeout
    for (;;) {
      try {
        await this.#open()
        return
      } catch (err) {
        if (!isTemporary(err) || monotonicNow() >= deadline) throw err
        await delay(RETRY)
      }
    }
  }

  async #open(): Promise<void> {
    const { nats, replicas, onNotice } = this.#options
    const { differences } = await provideStream(this.#jetstream, recordStream(nats.prefix, replicas))
    if (differences.length > 0)
      onNotice?.(`the bucket ${nats.prefix}-records has other settings: ${differences.join('; ')}`)
    await this.records.start()
    await this.#guard.start()
  }

  /** Reads and checks the stream that the follower begins with. */
  #begin(index: EventIndex): void {
    this.#reader = new NatsReader(index, (wanted) => this.#fetch(index, wanted))
    this.#guard.begun()
  }

  /** Fetches events of the index. Trims events from the index that the stream no longer has. */
  async #fetch(index: EventIndex, wanted: readonly KeptEvent[]): Promise<(ScannedEvent | undefined)[]> {
    const follower = this.#follower
    return this.#calls.askAgain(async () => {
      if (index !== follower.index) throw unavailable('The log was replaced while it was read.')
      const found = await this.#source.read(wanted)
      if (wanted.some((event) => !found.has(event.sequence) && index.has(event))) await follower.settle()
      for (const event of wanted) {
        if (found.has(event.sequence) || !index.has(event)) continue
        const late = await this.#source.readFromLeader(event) // the server that answered may lag behind
        if (late) found.set(event.sequence, late)
        else {
          const { nats, onNotice } = this.#options
          onNotice?.(`the stream ${nats.prefix} has lost the message ${event.sequence}: its topic gets a gap`)
          index.trimTopic(event.topic, event.sequence, Infinity)
          follower.tell(NO_EVENTS)
        }
      }
      return wanted.map(({ sequence }) => found.get(sequence))
    })
  }
}

class NatsView implements LogView {
  readonly #follower: StreamFollower
  readonly #guard: StreamGuard

  constructor(follower: StreamFollower, guard: StreamGuard) {
    this.#follower = follower
    this.#guard = guard
  }

  get epoch(): string {
    return this.#follower.epoch
  }

  get head(): number {
    return this.#follower.index.head
  }

  get mark(): number {
    return this.#follower.index.history.mark
  }

  get failure(): Error | undefined {
    return this.#guard.failure
  }

  stats(): LogStats {
    return this.#follower.index.retained.stats()
  }
}
