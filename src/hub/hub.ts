/** The hub: creates, opens and closes its parts, which callers then use. The hub knows nothing of HTTP. */
import type { Cluster } from '../cluster/cluster.js'
import { SingleCluster } from '../cluster/single.js'
import type { EventLog, KeyValue, LogStats, Page, ReadOptions, Replacement } from '../log/log.js'
import { readPage } from '../log/page.js'
import type { EventInput } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import type { TraceContext } from '../model/trace-context.js'
import type { Family } from '../observe/metric.js'
import { Encoder } from '../wire/sse.js'
import { Messenger } from './cluster/messenger.js'
import { Neighbours } from './cluster/neighbours.js'
import { SharedAllowances } from './cluster/shared-allowances.js'
import { SharedCursors } from './cluster/shared-cursors.js'
import { drawConnectionId } from './connection-id.js'
import { Connections } from './connections.js'
import { endInGroups, requireDrainTime } from './drain.js'
import { EventReaders, type EventGap, type EventsOptions, type HubEvent } from './event-reader.js'
import { Fanout } from './fanout.js'
import { HubFigures } from './figures.js'
import { HubFiniteTopics } from './finite/finite-topics.js'
import { Intake } from './intake.js'
import { Lifecycle } from './lifecycle.js'
import { readMetrics } from './metrics.js'
import { NamedCursors } from './named-cursors.js'
import type { Present } from './presence.js'
import { Publisher, type Receipt } from './publisher.js'
import type { ReaperOptions } from './stream-reaper.js'
import { Streams } from './streams.js'
import { Topics, type TopicInfo } from './topics.js'
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
  /** How long after its last use a named cursor expires, in milliseconds. */
  cursorTtl: number
  /** How long after its newest event a finite topic expires, in milliseconds; default: an hour. */
  streamTtl?: number
  /** The maximum size of a finite topic, in bytes; default: 64 MiB. */
  maxStreamSize?: number
  /** The maximum number of topics, which limits new finite topics; default: no limit. */
  maxTopics?: number
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
  readonly publisher: Publisher
  /** Opens, changes and describes streams. */
  readonly streams: Streams
  readonly topics: Topics
  /** The parts that work with the other processes. */
  readonly neighbours: Neighbours
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
  readonly #intake: Intake
  readonly #ownCursors: NamedCursors
  #closing: Promise<void> | undefined

  /**
   * Opens a hub on a log. Closing the hub closes the log.
   * @throws HubError `log-unavailable` if the log cannot be followed; the log is closed then
   */
  static async open(log: EventLog, options: HubOptions): Promise<Hub> {
    const hub = new Hub(log, options)
    try {
      await hub.publisher.start()
      await hub.finite.start()
      hub.neighbours.start()
    } catch (err) {
      await hub.close()
      throw err
    }
    return hub
  }

  private constructor(log: EventLog, options: HubOptions) {
    const { maxEventSize, typedTopics, version = '', cluster = new SingleCluster(), onError = ignore } = options
    const { connections } = this
    this.#log = log
    this.#version = version
    this.messenger = new Messenger(cluster, onError)
    this.#encoder = new Encoder(log.view.epoch)
    this.#fanout = new Fanout(this.#encoder, cluster.node, this.#figures)
    this.#readers = this.#createReaders()
    this.neighbours = this.#createNeighbours(options)
    const { systemTopics, presence } = this.neighbours
    this.#intake = new Intake({ figures: this.#figures, fanout: this.#fanout, systemTopics })
    this.#ownCursors = this.#createCursors(options)
    this.cursors = new SharedCursors(this.messenger, this.#ownCursors)
    this.finite = this.#createFiniteTopics(options)
    this.#fanout.endOf = (topic) => this.finite.knownEndOf(topic)
    this.#fanout.paceOf = (topic) => this.finite.coalesceOf(topic)
    const parts = {
      log,
      finite: this.finite,
      lifecycle: this.#lifecycle,
      encoder: this.#encoder,
      fanout: this.#fanout,
      figures: this.#figures,
      intake: this.#intake,
      readers: this.#readers,
      messenger: this.messenger,
      connections,
      cursors: this.#ownCursors,
      systemTopics,
      presence,
    }
    const interrupt = (replaced: Replacement | undefined) => this.#interrupt(replaced)
    this.publisher = new Publisher({ ...parts, interrupt }, maxEventSize, typedTopics)
    this.streams = new Streams(parts, { ...options, onError, onRound: (now) => this.neighbours.tick(now) })
    this.topics = new Topics({ ...parts, activity: systemTopics.activity })
  }

  #createReaders(): EventReaders {
    return new EventReaders(
      this.#log,
      () => this.#fanout.head,
      (sequence) => this.#encoder.cursor(sequence),
      async (id) => this.streams.caughtUp(id),
    )
  }

  #createNeighbours({ version = '', presenceGrace }: HubOptions): Neighbours {
    return new Neighbours(
      {
        messenger: this.messenger,
        log: this.#log,
        fanout: this.#fanout,
        figures: this.#figures,
        connections: this.connections,
        describe: (stream) => this.streams.describe(stream),
        published: (): number => this.#intake.published,
      },
      { version, presenceGrace },
    )
  }

  #createCursors({ maxCursorsPerSubject, cursorTtl, onError = ignore }: HubOptions): NamedCursors {
    return new NamedCursors(this.#log.records, {
      epoch: () => this.epoch,
      limit: maxCursorsPerSubject,
      ttl: cursorTtl,
      onError,
      touch: (cursor) => this.cursors.touch(cursor),
    })
  }

  #createFiniteTopics(options: HubOptions): HubFiniteTopics {
    const { maxEventSize, typedTopics, onError = ignore } = options
    const { streamTtl = STREAM_TTL, maxStreamSize = MAX_STREAM_SIZE } = options
    const { streamRoom = Infinity, maxTopics = Infinity, longestStreamTtl = Infinity } = options
    const { messenger } = this
    return new HubFiniteTopics(
      {
        log: this.#log,
        lifecycle: this.#lifecycle,
        intake: this.#intake,
        isFirst: () => messenger.nodes()[0] === messenger.node,
        isAlone: () => messenger.isAlone,
        typedTopics,
        pace: (topic, coalesce) => this.#fanout.pace(topic, coalesce),
        renew: (topic) => this.#fanout.renew(topic),
        onError,
      },
      {
        maxEventSize,
        ttl: streamTtl,
        maxSize: maxStreamSize,
        room: streamRoom,
        maxTopics,
        longestTtl: longestStreamTtl,
      },
    )
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

  /** The newest sequence that may have been sent to streams. */
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
    return this.publisher.publish(topic, input, trace)
  }

  /** As `Publisher.publishAll`. */
  publishAll(inputs: readonly (EventInput & { topic: string })[], trace?: TraceContext): Promise<Receipt[]> {
    return this.publisher.publishAll(inputs, trace)
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

  /** Returns the allowances of publishers with `rate` publish requests a second, over all processes. */
  shareAllowances(rate: number): SharedAllowances {
    return new SharedAllowances(this.messenger, rate)
  }

  /** As `ClusterPresence.present`. */
  async present(topic: string): Promise<Present[]> {
    this.#lifecycle.requireOpen()
    return this.neighbours.presence.present(topic)
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
    return this.topics.get(topic)
  }

  /** Reads the metrics of this process. */
  metrics(): Promise<Family[]> {
    const { systemTopics, reports } = this.neighbours
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
    return this.topics.purge(topic)
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

  /** Ends all streams and event iterators at once, refuses new ones, and makes long requests end. */
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
   * Ends all streams, since the log has lost events that the streams did not get. A subscriber that resumes with its
   * cursor gets a gap.
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
    this.streams.stop()
    this.publisher.stop()
    this.finite.stop()
    await this.messenger.close()
    this.neighbours.systemTopics.stop()
    await this.#ownCursors.close()
    await this.#log.close()
  }
}
