/** The hub. It delegates each operation to the part that implements it. Knows nothing of HTTP. */
import type { Cluster } from '../cluster/cluster.js'
import { SingleCluster } from '../cluster/single.js'
import type { EventLog, KeyValue, LogStats, Page, ReadOptions, Replacement, TopicsOptions } from '../log/log.js'
import { readPage } from '../log/page.js'
import type { CheckedEvent, EventInput } from '../model/event.js'
import type { Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import type { EventTopic } from '../model/topic.js'
import type { TraceContext } from '../model/trace-context.js'
import type { Family } from '../observe/metric.js'
import type { Chunk } from '../wire/chunk.js'
import { Encoder } from '../wire/sse.js'
import type { WantedReplay } from './backlog.js'
import type { ConnectionsList, ConnectionsRequest, StreamCounts } from './cluster/all-connections.js'
import type { HubHistory } from './cluster/all-history.js'
import { Messenger } from './cluster/messenger.js'
import { Neighbours } from './cluster/neighbours.js'
import type { KnownNode } from './cluster/node-reports.js'
import { SharedAllowances } from './cluster/shared-allowances.js'
import { SharedCursors } from './cluster/shared-cursors.js'
import { drawConnectionId } from './connection-id.js'
import { Connections, type Connection } from './connections.js'
import { endInGroups, requireDrainTime } from './drain.js'
import { EventReaders, type EventGap, type EventsOptions, type HubEvent } from './event-reader.js'
import { Fanout } from './fanout.js'
import { HubFigures } from './figures.js'
import { HubFiniteTopics } from './finite/finite-topics.js'
import { Intake } from './intake.js'
import { Lifecycle } from './lifecycle.js'
import { readMetrics } from './metrics.js'
import { NamedCursors, type CursorName } from './named-cursors.js'
import type { Present } from './presence.js'
import { Publisher, type Receipt, type Tally } from './publisher.js'
import type { Start, StartRequest } from './start.js'
import type { ConnectionChange, StreamInfo } from './stream-info.js'
import type { ReaperOptions } from './stream-reaper.js'
import { Streams, type Subscription } from './streams.js'
import type { Stream, StreamIdentity } from './stream.js'
import { Topics, type TopicActivityInfo, type TopicInfo } from './topics.js'
import type { TypedTopics } from './typed-topics/typed-topics.js'

export interface HubOptions extends ReaperOptions {
  /** The maximum size of an event's payload, in bytes. */
  maxEventSize: number
  /** The schemas of topics; default: no topic has a schema. */
  typedTopics?: TypedTopics | undefined
  /** How long a subject stays present after its last stream has ended, in milliseconds. */
  presenceGrace: number
  /** The maximum number of named cursors of a subject. */
  maxCursorsPerSubject: number
  /** The time after the last use at which a named cursor expires, in milliseconds. */
  cursorTtl: number
  /** The time after its newest event at which a finite topic expires, in milliseconds; default: an hour. */
  streamTtl?: number
  /** The maximum size of a finite topic, in bytes; default: 64 MiB. */
  maxStreamSize?: number
  /** The longest time to live of a finite topic, in milliseconds, if the log cannot keep events longer. */
  longestStreamTtl?: number
  /** The part of the log that all finite topics may take, in bytes; default: no limit. */
  streamRoom?: number
  /** The version that `GET /nodes` reports; default: an empty one. */
  version?: string
  /** The processes that serve the same log; default: this process alone. The hub closes it. */
  cluster?: Cluster
  /** Receives errors of background work. */
  onError?: (err: unknown, message: string) => void
}

const ignore = () => undefined

const STREAM_TTL = 3_600_000
const MAX_STREAM_SIZE = 64 * 1024 * 1024

export class Hub {
  readonly #figures = new HubFigures()
  /** The open streams of this process. */
  readonly connections = new Connections(this.#figures)
  /** Carries requests to the process that holds a stream. */
  readonly messenger: Messenger
  /** The finite topics. */
  readonly finite: HubFiniteTopics
  /** The named cursors of all subjects. */
  readonly cursors: SharedCursors
  readonly #log: EventLog
  readonly #lifecycle = new Lifecycle()
  readonly #version: string
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #readers: EventReaders
  readonly #ownCursors: NamedCursors
  readonly #neighbours: Neighbours
  readonly #streams: Streams
  readonly #publisher: Publisher
  readonly #topics: Topics
  #closing: Promise<void> | undefined

  /**
   * Opens a hub on a log. Closing the hub closes the log.
   * @throws HubError `log-unavailable` if the log cannot be followed; the log is closed then
   */
  static async open(log: EventLog, options: HubOptions): Promise<Hub> {
    const hub = new Hub(log, options)
    try {
      await hub.#publisher.start()
      await hub.finite.start()
      hub.#neighbours.start()
    } catch (err) {
      await hub.close()
      throw err
    }
    return hub
  }

  private constructor(
    log: EventLog,
    {
      maxEventSize,
      typedTopics,
      maxCursorsPerSubject,
      cursorTtl,
      presenceGrace,
      version = '',
      cluster = new SingleCluster(),
      streamTtl = STREAM_TTL,
      maxStreamSize = MAX_STREAM_SIZE,
      streamRoom = Infinity,
      longestStreamTtl = Infinity,
      onError = ignore,
      ...rest
    }: HubOptions,
  ) {
    const { connections } = this
    const figures = this.#figures
    const lifecycle = this.#lifecycle
    this.#version = version
    const encoder = (this.#encoder = new Encoder(log.view.epoch))
    const fanout = (this.#fanout = new Fanout(encoder, cluster.node, figures))
    const readers = (this.#readers = new EventReaders(
      log,
      () => fanout.head,
      (sequence) => encoder.cursor(sequence),
      (id) => this.caughtUp(id),
    ))
    const messenger = (this.messenger = new Messenger(cluster, onError))
    const neighbours = (this.#neighbours = new Neighbours(
      {
        messenger,
        log,
        fanout,
        figures,
        connections,
        describe: (stream) => this.#streams.describe(stream),
        published: (): number => intake.published,
      },
      { version, presenceGrace },
    ))
    const intake = new Intake({ figures, fanout, systemTopics: neighbours.systemTopics })
    const cursors = (this.#ownCursors = new NamedCursors(log.records, {
      epoch: () => log.view.epoch,
      limit: maxCursorsPerSubject,
      ttl: cursorTtl,
      onError,
      touch: (cursor) => this.cursors.touch(cursor),
    }))
    this.cursors = new SharedCursors(messenger, cursors)
    const finite = (this.finite = new HubFiniteTopics(
      {
        log,
        lifecycle,
        intake,
        isFirst: () => messenger.nodes()[0] === messenger.node,
        isAlone: () => messenger.isAlone,
        typedTopics,
        pace: (topic, coalesce) => fanout.pace(topic, coalesce),
        renew: (topic) => fanout.renew(topic),
        onError,
      },
      { maxEventSize, ttl: streamTtl, maxSize: maxStreamSize, room: streamRoom, longestTtl: longestStreamTtl },
    ))
    fanout.endOf = (topic) => finite.knownEndOf(topic)
    fanout.paceOf = (topic) => finite.coalesceOf(topic)
    const parts = {
      log,
      finite,
      lifecycle,
      encoder,
      fanout,
      figures,
      intake,
      readers,
      messenger,
      connections,
      cursors,
      systemTopics: neighbours.systemTopics,
      presence: neighbours.presence,
    }
    this.#log = log
    const interrupt = (replaced: Replacement | undefined) => this.#interrupt(replaced)
    this.#publisher = new Publisher({ ...parts, interrupt }, maxEventSize, typedTopics)
    this.#streams = new Streams(parts, { ...rest, onError, onRound: (now) => neighbours.tick(now) })
    this.#topics = new Topics({ ...parts, activity: neighbours.systemTopics.activity })
  }

  /** Whether streams are being ended because the hub is about to stop. */
  get draining(): boolean {
    return this.#lifecycle.draining
  }

  /** Why nothing can be published now; `undefined`: publishing works. */
  get failure(): Error | undefined {
    return this.#log.view.failure
  }

  /** The epoch of the log. */
  get epoch(): string {
    return this.#log.view.epoch
  }

  /** The newest sequence that streams may have been sent. */
  get head(): number {
    return this.#fanout.head
  }

  /** Returns the cursor of a sequence. */
  cursor(sequence: number): string {
    return this.#encoder.cursor(sequence)
  }

  /** The records of the log. */
  get records(): KeyValue {
    return this.#log.records
  }

  /** Returns the size of the log. */
  stats(): LogStats {
    return this.#log.view.stats()
  }

  /** As `Publisher.publish`. */
  publish(topic: string, input: EventInput, trace?: TraceContext): Promise<Receipt> {
    return this.#publisher.publish(topic, input, trace)
  }

  /** As `Publisher.publishAll`. */
  publishAll(inputs: readonly (EventInput & { topic: string })[], trace?: TraceContext): Promise<Receipt[]> {
    return this.#publisher.publishAll(inputs, trace)
  }

  /** As `Publisher.check`. */
  check(topic: EventTopic, input: EventInput, trace?: TraceContext): CheckedEvent {
    return this.#publisher.check(topic, input, trace)
  }

  /** As `Publisher.publishOne`. */
  publishOne(event: CheckedEvent): Promise<Receipt> {
    return this.#publisher.publishOne(event)
  }

  /** As `Publisher.publishChecked`. */
  publishChecked(events: readonly CheckedEvent[]): Promise<Receipt[]> {
    return this.#publisher.publishChecked(events)
  }

  /** As `Publisher.publishMany`. */
  publishMany(events: readonly CheckedEvent[]): Promise<Tally> {
    return this.#publisher.publishMany(events)
  }

  /** As `Streams.locate`. */
  locate(selection: Selection, request: StartRequest, cursor?: CursorName): Promise<Start> {
    return this.#streams.locate(selection, request, cursor)
  }

  /** As `Streams.caughtUp`. */
  async caughtUp(id: string | undefined): Promise<void> {
    await this.#streams.caughtUp(id)
  }

  /** As `Streams.resumeId`. */
  resumeId(stream: Pick<Start, 'gap' | 'sequence'>): string | undefined {
    return this.#streams.resumeId(stream)
  }

  /** As `Streams.subscribe`. */
  subscribe(subscription: Subscription): Stream {
    return this.#streams.subscribe(subscription)
  }

  /** As `Streams.expiredStream`. */
  expiredStream(stream: Pick<Subscription, 'selection' | 'start'> & Pick<StreamIdentity, 'id'>): Chunk {
    return this.#streams.expiredStream(stream)
  }

  /** As `Streams.move`. */
  move(stream: Stream, selection: Selection, replay?: WantedReplay): void {
    this.#streams.move(stream, selection, replay)
  }

  /** As `Streams.renew`. */
  renew(stream: Stream, principal: Principal, selection?: Selection): void {
    this.#streams.renew(stream, principal, selection)
  }

  /** As `Streams.describe`. */
  describe(stream: Connection): StreamInfo {
    return this.#streams.describe(stream)
  }

  /** As `SystemTopics.changed`, for a live read. */
  announce(read: Connection, change: ConnectionChange['change'], reason?: ConnectionChange['reason']): void {
    this.#neighbours.systemTopics.changed(read, change, reason)
  }

  /** Counts the events and the bytes of an answer: a page of history, or a read of a finite topic. */
  answered(events: number, bytes: number): void {
    this.#figures.answered.events += events
    this.#figures.answered.bytes += bytes
  }

  /** Draws the id of a new connection. */
  drawConnectionId(): string {
    return drawConnectionId(this.messenger.node)
  }

  /** As `AllConnections.list`. */
  listConnections(request: ConnectionsRequest): Promise<ConnectionsList> {
    return this.#neighbours.connections.list(request)
  }

  /** As `AllConnections.countElsewhere`. */
  countElsewhere(subject: string | undefined, address: string | undefined): Promise<StreamCounts> {
    return this.#neighbours.connections.countElsewhere(subject, address)
  }

  /** Returns the allowances of publishers with `rate` publish requests a second, over all processes. */
  shareAllowances(rate: number): SharedAllowances {
    return new SharedAllowances(this.messenger, rate)
  }

  /** As `AllConnections.endSubject`. */
  endSubject(subject: string): Promise<number> {
    return this.#neighbours.connections.endSubject(subject)
  }

  /** As `NodeReports.all`. */
  nodes(withLoad: boolean): Promise<KnownNode[]> {
    return this.#neighbours.reports.all(withLoad)
  }

  /** As `ClusterPresence.present`. */
  async present(topic: string): Promise<Present[]> {
    this.#lifecycle.requireOpen()
    return this.#neighbours.presence.present(topic)
  }

  /** Returns the sequence before the newest `count` events of a selection up to `until`, by default the head. */
  async before(selection: Selection, count: number, until?: number): Promise<number> {
    return (await this.#log.locate(selection, { newest: count, ...(until !== undefined && { until }) })).after
  }

  /** Reads a page of history, up to `until` or the head. */
  read(selection: Selection, { until = this.head, ...options }: ReadOptions): Promise<Page> {
    return readPage(this.#log, selection, { ...options, until: Math.min(until, this.head) })
  }

  /**
   * Reads events: those since `from`, then each new event, in log order and each once. A gap stands for missing events.
   * Ends when `signal` is aborted or the hub closes.
   * @throws HubError `invalid-pattern`, `reserved-topic`, `invalid-event`, `invalid-cursor`, `hub-closed`; the
   *   iteration itself `log-unavailable`
   */
  events(
    patterns: string | readonly string[],
    options: EventsOptions = {},
  ): AsyncIterableIterator<HubEvent | EventGap> {
    this.#lifecycle.requireOpen()
    return this.#readers.open(patterns, options)
  }

  /** As `Topics.get`. */
  async topic(topic: string): Promise<TopicInfo> {
    this.#lifecycle.requireOpen()
    return this.#topics.get(topic)
  }

  /** As `Topics.list`. */
  topics(options: TopicsOptions, accepts: (topic: string) => boolean): Promise<{ topics: TopicInfo[]; more: boolean }> {
    return this.#topics.list(options, accepts)
  }

  /** As `Topics.listActive`. */
  activeTopics(
    options: TopicsOptions,
    accepts: (topic: string) => boolean,
  ): Promise<{ topics: (TopicInfo & { activity: TopicActivityInfo })[]; more: boolean }> {
    return this.#topics.listActive(options, accepts)
  }

  /** As `AllHistory.read`. */
  statsHistory(range: number): Promise<HubHistory> {
    return this.#neighbours.history.read(range)
  }

  /** Reads the metrics of this process. */
  metrics(): Promise<Family[]> {
    const { systemTopics, reports } = this.#neighbours
    return readMetrics({
      version: this.#version,
      figures: this.#figures,
      connections: this.connections,
      fanout: this.#fanout,
      log: this.#log,
      lifecycle: this.#lifecycle,
      messenger: this.messenger,
      reports,
      sent: () => systemTopics.sent(),
    })
  }

  /** As `Topics.purge`. */
  async purge(topic: string): Promise<number> {
    this.#lifecycle.requireOpen()
    return this.#topics.purge(topic)
  }

  /**
   * Ends all streams in small groups over a period, so that not all subscribers reconnect at once.
   * @param time in milliseconds, at most a day
   * @throws SettingsError for any other value; no stream is ended then
   */
  async drain(time: number): Promise<void> {
    requireDrainTime(time)
    if (this.#lifecycle.drain()) await endInGroups(this.connections, time)
  }

  /** As `Lifecycle.requireTime`. Long requests, such as uploads, call it repeatedly. */
  requireTime(): void {
    this.#lifecycle.requireTime()
  }

  /** Ends all streams and iterators at once, opens no new streams, and makes long requests end. */
  endStreams(): void {
    this.#lifecycle.end()
    this.#readers.end()
    this.connections.endFirst(this.connections.size, 'drain')
  }

  /**
   * Stops the writes of the log. After it resolves, the process can exit. `process.exit()` during a write may never
   * return.
   */
  halt(): Promise<void> {
    return this.#log.halt()
  }

  /** Refuses the requests that still wait for the log or for another process. Nothing is stored afterwards. */
  async refuseWaiting(): Promise<void> {
    await Promise.all([this.messenger.close(), this.#log.halt()])
  }

  /** Ends all open streams, and closes the log. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  /**
   * Ends all streams, since the log has lost events that they did not get. A subscriber resumes with its cursor, and
   * gets a gap.
   * @param replaced the log that has replaced the previous one
   */
  #interrupt(replaced: Replacement | undefined): void {
    this.connections.endFirst(this.connections.size, 'drain')
    if (!replaced) return
    this.#encoder.begin(replaced.epoch)
    this.#fanout.restart(replaced.head)
    this.#readers.replaced()
    this.finite.replaced()
  }

  async #close(): Promise<void> {
    this.endStreams()
    this.#lifecycle.close()
    this.#streams.stop()
    this.#publisher.stop()
    this.finite.stop()
    await this.messenger.close()
    this.#neighbours.systemTopics.stop()
    await this.#ownCursors.close()
    await this.#log.close()
  }
}
