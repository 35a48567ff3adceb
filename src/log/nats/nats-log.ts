/**
 * A log on NATS JetStream, which any number of processes and machines share. The sequences of the stream are those of
 * the log. Each process follows the stream with one consumer, and builds its index of the log from the messages.
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { monotonicNow } from '../../model/clock.js'
import { HubError } from '../../model/hub-error.js'
import type { NewEvent, ScannedEvent, StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { printSize } from '../../model/units.js'
import { NatsError } from '../../nats/nats-error.js'
import { NatsLink } from '../../nats/nats-link.js'
import type { NatsOptions } from '../../nats/nats-options.js'
import { Followers } from '../followers.js'
import {
  NO_EVENTS,
  NO_RECORDS,
  NO_TRIMS,
  type Appended,
  type ApplyDelta,
  type Beginning,
  type EventLog,
  type Following,
  type Located,
  type LogStats,
  type LogView,
  type Page,
  type ReadOptions,
  type RecordChange,
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
import { DirectGet } from './direct-get.js'
import type { EventIndex } from './event-index.js'
import { EventSource } from './event-source.js'
import { isTemporary, JetStream, JetStreamError, STREAM_NOT_FOUND, type StreamInfo } from './jetstream.js'
import { messageId, readHead, storedSize, Subjects, toStored } from './messages.js'
import { NatsAppender, unavailable, within } from './nats-appender.js'
import { NatsReader } from './nats-reader.js'
import { NatsRecords, type PurgeMark } from './nats-records.js'
import { OrderedConsumer, type Delivery } from './ordered-consumer.js'
import { Requests } from './requests.js'
import { RecentIds } from './recent-ids.js'
import {
  beginGeneration,
  epochOf,
  eventStream,
  provideStream,
  recordStream,
  SPARE_BYTES,
  windowOf,
} from './stream-config.js'
import { readHistory } from './stream-history.js'

/** The time between two checks of the state of the stream, in milliseconds. */
const CHECK_INTERVAL = 1_000
/** A stream that ends too early in this many consecutive checks has lost events. */
const SHORTER_CHECKS = 3
/** The maximum time of a request to JetStream, in milliseconds: a cluster without a leader does not answer. */
const ATTEMPT = 2_000
/** The time between two attempts, in milliseconds. */
const RETRY = 100
/** The maximum number of events that are trimmed in one step. */
const TRIM_STEP = 1_000
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
  readonly #jetstream: JetStream
  readonly #subjects: Subjects
  readonly #ids: RecentIds
  readonly #requests: Requests
  readonly #source: EventSource
  readonly #appender: NatsAppender
  readonly #followers = new Followers()
  /** The topics whose purge is remembered. */
  readonly #purges = new Map<string, PurgeMark>()
  /** The results of recent purges, by the sequences of their marks: how many events each has removed. */
  readonly #purged = new Map<number, Promise<number>>()
  #epoch = ''
  #index!: EventIndex
  #reader!: NatsReader
  /** `undefined` before the log is open. */
  #consumer: OrderedConsumer | undefined
  /** The newest sequence that the stream has delivered. */
  #last = 0
  /** The events of an atomic batch whose last event has not arrived yet. */
  #batch: StoredEvent[] = []
  #sizes: number[] = []
  #failure: Error | undefined
  /** Whether the stream has used a sequence twice. */
  #hasRewound = false
  /** The number of consecutive checks in which the stream ended before the newest event that this process has. */
  #shorter = 0
  /** Reports a failure that lasts. */
  #failureTimer: NodeJS.Timeout | undefined
  #checking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
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
    const { nats, retention, now } = options
    this.#options = options
    this.#link = link
    const jetstream = (this.#jetstream = new JetStream(link, Math.min(nats.timeout, ATTEMPT)))
    this.#subjects = new Subjects(nats.prefix)
    this.#ids = new RecentIds(windowOf(retention))
    const requests = (this.#requests = new Requests(link))
    const direct = new DirectGet(requests, nats.prefix, nats.timeout)
    this.#source = new EventSource(jetstream, direct, nats.prefix, this.#subjects)
    const seconds = Math.min(MAX_TTL, Math.ceil(retention.age / 1_000) + PURGE_MARGIN)
    this.records = new NatsRecords({
      link,
      jetstream,
      requests,
      timeout: nats.timeout,
      stream: recordStream(nats.prefix, 1).name,
      purgeTtl: seconds,
      now,
      onChange: (change) => this.#tell(NO_EVENTS, [change]),
      onPurge: (topic, mark, sequence) => this.#onPurge(topic, mark, sequence),
      ask: (request) => this.#ask(request),
    })
    this.#appender = new NatsAppender({
      link,
      requests,
      subjects: this.#subjects,
      ids: this.#ids,
      retained: () => this.#index.retained,
      maxTopics: retention.topics ?? Infinity,
      timeout: nats.timeout,
      head: () => this.#index.head,
      onStored: (sequence, head) => {
        if (sequence <= head) this.#hasRewound = true
      },
      reach: (sequence) => this.#consumer!.reach(sequence),
    })
    this.view = new NatsView({
      epoch: () => this.#epoch,
      index: () => this.#index,
      failure: () => this.#failure,
    })
    link.watch((isUp) => {
      if (isUp) void this.#checkNow()
      else this.#reportFailure(new Error('there is no connection to NATS'))
    })
  }

  append(events: readonly NewEvent[]): Promise<Appended[]> {
    return this.#appender.append(events)
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
    return describeTopic(name, this.#index.retained.statsOf(name), properties)
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
    const newest = this.#index.retained.get(topic)?.events.newest?.sequence
    if (newest === undefined) return 0
    const mark = await this.records.markPurge(topic, { epoch: this.#epoch, until: newest })
    const purged = (await this.#purged.get(mark)) ?? 0
    await this.#ask(() => this.#jetstream.purge(prefix, this.#subjects.of(topic), newest + 1))
    return purged
  }

  catchUp(): Promise<void> {
    return this.#askAgain(() => this.#settle())
  }

  async halt(): Promise<void> {
    await this.#appender.stop()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#appender.stop()
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#failureTimer)
    await this.#checking
    this.#consumer?.stop()
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
    await this.#begin(await this.#provide())
    this.#timer = setTimeout(() => void this.#checkNow(), CHECK_INTERVAL).unref()
  }

  async #provide(): Promise<StreamInfo> {
    const { nats, replicas, retention, onNotice } = this.#options
    const { info, differences } = await provideStream(this.#jetstream, eventStream(nats.prefix, retention, replicas))
    if (differences.length > 0)
      onNotice?.(
        `the stream ${nats.prefix} has other settings, which the hub does not change: ${differences.join('; ')}`,
      )
    return info
  }

  /** Begins to follow a stream: reads what it has, and then each new message. */
  async #begin(info: StreamInfo): Promise<void> {
    const source = {
      link: this.#link,
      jetstream: this.#jetstream,
      subjects: this.#subjects,
      retention: this.#options.retention,
      ids: this.#ids,
      purges: this.#purges,
    }
    const index = await readHistory(source, info)
    const isReplaced = this.#epoch !== ''
    if (isReplaced) {
      const mark = this.view.mark + 1
      index.history.mark += mark
      index.history.forgotten.trimmedAt = mark
    }
    this.#epoch = epochOf(info)
    this.#hasRewound = false
    this.#shorter = 0
    this.#index = index
    this.#reader = new NatsReader(index, (wanted) => this.#fetch(index, wanted))
    this.#last = info.state.last_seq
    this.#batch = []
    if (isReplaced) {
      const { epoch, head, mark } = this.view
      this.#followers.tell({ events: NO_EVENTS, trims: NO_TRIMS, records: NO_RECORDS, replaced: { epoch, head, mark } })
    }
    this.#consumer = new OrderedConsumer(this.#link, this.#jetstream, this.#last + 1, {
      stream: this.#options.nats.prefix,
      filter: this.#subjects.all,
      onMessage: (delivery) => this.#apply(delivery),
      onStart: () => this.#restart(),
    })
    await this.#consumer.start()
  }

  /** Begins again after the last applied event: the delivered part of an incomplete atomic batch is delivered again. */
  #restart(): number {
    this.#last = this.#index.head
    this.#batch = []
    this.#sizes = []
    return this.#last + 1
  }

  /** Applies a message of the stream. An atomic batch is applied with its last message. */
  #apply({ message, sequence, time }: Delivery): void {
    if (sequence <= this.#index.head) return
    if (sequence > this.#last + 1) {
      // JetStream has trimmed messages that have not been delivered
      this.#batch = []
      this.#sizes = []
      this.#index.suspect(sequence - 1)
      this.#tell(NO_EVENTS)
    }
    this.#last = sequence
    const head = readHead(this.#subjects, message.subject, message.headers)
    if (!head) return
    const event = toStored(head, sequence, time, message.data)
    this.#batch.push(event)
    this.#sizes.push(storedSize(message, head))
    if (head.batch !== undefined && !head.isLast) return
    const events = this.#batch
    const sizes = this.#sizes
    this.#batch = []
    this.#sizes = []
    for (const [n, event] of events.entries()) {
      this.#index.add({ ...event, size: sizes[n]! })
      if (event.id !== undefined) this.#ids.add(messageId(event.topic, event.id), event.sequence)
    }
    this.#tell(events)
  }

  /** Gives the followers a delta with some events and records, and the pending trims. */
  #tell(events: readonly StoredEvent[], records: readonly RecordChange[] = NO_RECORDS): void {
    const trims = (this.#index as EventIndex | undefined)?.takeTrims() ?? NO_TRIMS
    if (events.length + trims.length + records.length > 0) this.#followers.tell({ events, trims, records })
  }

  /** Fetches events of the index. Trims events from the index that the stream no longer has. */
  async #fetch(index: EventIndex, wanted: readonly KeptEvent[]): Promise<(ScannedEvent | undefined)[]> {
    return this.#askAgain(async () => {
      if (index !== this.#index) throw unavailable('The log was replaced while it was read.')
      const found = await this.#source.read(wanted)
      if (wanted.some((event) => !found.has(event.sequence) && index.has(event))) await this.#settle()
      for (const event of wanted) {
        if (found.has(event.sequence) || !index.has(event)) continue
        const late = await this.#source.readFromLeader(event) // the server that answered may lag behind
        if (late) found.set(event.sequence, late)
        else {
          index.trimTopic(event.topic, event.sequence, Infinity)
          this.#tell(NO_EVENTS)
        }
      }
      return wanted.map(({ sequence }) => found.get(sequence))
    })
  }

  /** Resolves when the index has every event of the stream, and no event before the beginning of the stream. */
  async #settle(): Promise<void> {
    const info = await this.#jetstream.streamInfo(this.#options.nats.prefix)
    await this.#consumer!.reach(info.state.last_seq)
    await this.#trimBefore(info.state.first_seq)
  }

  async #trimBefore(first: number): Promise<void> {
    const index = this.#index
    for (let isMore = true; isMore;) {
      isMore = index.trimBefore(first, TRIM_STEP)
      if (index !== this.#index) return
      this.#tell(NO_EVENTS)
      if (isMore) await nextTurn()
    }
  }

  /** Checks the state of the stream periodically, since JetStream does not report what it trims. */
  #checkNow(): Promise<void> {
    clearTimeout(this.#timer)
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
      if (!this.#isClosed) this.#timer = setTimeout(() => void this.#checkNow(), CHECK_INTERVAL).unref()
    })
    return this.#checking
  }

  async #check(): Promise<void> {
    if (!this.#link.isUp || this.#isClosed) return
    try {
      const { head } = this.#index
      const info = await this.#infoOrNew()
      if (epochOf(info) !== this.#epoch) await this.#replace(info)
      else if (this.#isShorter(info, head)) {
        await beginGeneration(this.#jetstream, info)
        await this.#replace(await this.#infoOrNew())
      } else await this.#trimBefore(info.state.first_seq)
      this.#recover()
    } catch (err) {
      this.#reportFailure(new Error('the stream of the events cannot be used', { cause: err }))
    }
  }

  /**
   * Whether the stream has lost its newest events, as after a power failure of a server that had not flushed them. A
   * new leader of the stream may know the newest events a little late.
   */
  #isShorter({ state }: StreamInfo, head: number): boolean {
    this.#shorter = state.last_seq < head ? this.#shorter + 1 : 0
    return this.#hasRewound || this.#shorter >= SHORTER_CHECKS
  }

  /** Returns the state of the stream. Creates the stream again if it was deleted. */
  async #infoOrNew(): Promise<StreamInfo> {
    try {
      return await this.#jetstream.streamInfo(this.#options.nats.prefix)
    } catch (err) {
      if (err instanceof JetStreamError && err.code === STREAM_NOT_FOUND) return this.#provide()
      throw err
    }
  }

  /** Follows the stream that has replaced the previous one. */
  async #replace(info: StreamInfo): Promise<void> {
    this.#options.onNotice?.(
      `the stream ${this.#options.nats.prefix} was created again, or has lost its newest events: every cursor gets a gap`,
    )
    this.#consumer!.stop()
    this.#ids.clear()
    await this.#begin(info)
  }

  /** Reports a failure once it has lasted as long as the timeout of an append: until then no append is refused. */
  #reportFailure(failure: Error): void {
    this.#failureTimer ??= setTimeout(() => {
      this.#failure = failure
      this.#options.onHealth?.(failure)
    }, this.#options.nats.timeout).unref()
  }

  #recover(): void {
    clearTimeout(this.#failureTimer)
    this.#failureTimer = undefined
    if (!this.#failure) return
    this.#failure = undefined
    this.#options.onHealth?.(undefined)
  }

  /** Trims the events that any process has purged. Waits for those that have not arrived yet. */
  #onPurge(topic: string, mark: PurgeMark, sequence: number): void {
    this.#purges.set(topic, mark)
    if (mark.epoch !== this.#epoch) return // the log is being opened, or the mark belongs to an earlier stream
    const purging = this.#trimPurged(topic, mark.until)
    this.#purged.set(sequence, purging)
    const forget = (): void => void setTimeout(() => this.#purged.delete(sequence), 1_000).unref()
    purging.then(forget, forget)
  }

  async #trimPurged(topic: string, until: number): Promise<number> {
    const index = this.#index
    let purged = 0
    if (index.head < until) await this.#consumer!.reach(until)
    for (let count = TRIM_STEP; count === TRIM_STEP && index === this.#index;) {
      count = index.trimTopic(topic, until, TRIM_STEP)
      this.#tell(NO_EVENTS)
      purged += count
      if (count === TRIM_STEP) await nextTurn()
    }
    return purged
  }

  #ask<T>(request: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(unavailable('The log is closed.'))
    if (!this.#link.isUp) return within(monotonicNow() + this.#options.nats.timeout, this.#whenUp(request))
    return within(monotonicNow() + this.#options.nats.timeout, request())
  }

  /** As `#ask`, but repeats the request until it succeeds or the timeout has passed. */
  #askAgain<T>(request: () => Promise<T>): Promise<T> {
    const deadline = monotonicNow() + this.#options.nats.timeout
    const attempt = async (): Promise<T> => {
      for (;;) {
        try {
          return await request()
        } catch (err) {
          if (err instanceof HubError || this.#isClosed || monotonicNow() + RETRY >= deadline) throw err
          await delay(RETRY)
        }
      }
    }
    return this.#ask(attempt)
  }

  /** Makes a request once the connection is up. */
  #whenUp<T>(request: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.#link.watch((isUp) => {
        if (!isUp) return
        stop()
        request().then(resolve, reject)
      })
      setTimeout(() => {
        stop()
        reject(new Error('there is no connection'))
      }, this.#options.nats.timeout).unref()
    })
  }
}

class NatsView implements LogView {
  readonly #source: { epoch: () => string; index: () => EventIndex; failure: () => Error | undefined }

  constructor(source: { epoch: () => string; index: () => EventIndex; failure: () => Error | undefined }) {
    this.#source = source
  }

  get epoch(): string {
    return this.#source.epoch()
  }

  get head(): number {
    return this.#source.index().head
  }

  get mark(): number {
    return this.#source.index().history.mark
  }

  get failure(): Error | undefined {
    return this.#source.failure()
  }

  stats(): LogStats {
    return this.#source.index().retained.stats()
  }
}
