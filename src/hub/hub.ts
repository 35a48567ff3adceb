/** The hub: the few verbs that everything else uses. Knows nothing of HTTP. */
import type { Appended, EventLog, LogStats, Page, Records, TopicsOptions, TopicStats } from '../log/log.js'
import { Chunk } from '../wire/chunk.js'
import { SettingsError } from '../model/settings-error.js'
import { MAX_DRAIN } from '../model/units.js'
import { CatchUp } from './catch-up.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import {
  checkEvent,
  checkEvents,
  requireChecked,
  type CheckedEvent,
  type EventInput,
  type NewEvent,
  type StoredEvent,
} from '../model/event.js'
import { Connections } from './connections.js'
import { EventReaders, type EventGap, type EventsOptions, type HubEvent } from './event-reader.js'
import { Fanout } from './fanout.js'
import { Frame } from './frame.js'
import { HubError } from '../model/hub-error.js'
import { NamedCursors, type CursorName } from './named-cursors.js'
import { SystemTopics } from './system-topics.js'
import { Presence, type Present } from './presence.js'
import { hasExpired, type Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import type { Selection } from '../model/selection.js'
import { mapInTurns } from '../event-loop/time-slice.js'
import { closeBlock, drawRetry, Encoder, type CloseReason, type Format } from '../wire/sse.js'
import { locate, locateFirst, type Start, type StartRequest } from './start.js'
import { describeStream, type StreamInfo } from './stream-info.js'
import { Subscriber, type SlowPolicy, type SubscriberInfo, type SubscriberOwner } from './subscriber.js'
import type { Sink } from '../wire/sink.js'
import { requireTopic, requireTopicName } from '../model/topic.js'
import { StreamReaper, type UpkeepOptions } from './stream-reaper.js'

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

/** What there is of a topic. */
export interface TopicInfo {
  topic: string
  /** How many streams have it among their topics and patterns. */
  subscribers: number
  /** How many of its events are retained. */
  events: number
  /** What they count for in retention by bytes. */
  bytes: number
  /** The cursors of the oldest and the newest of them; `null`: there are none. */
  firstId: string | null
  lastId: string | null
}

export interface HubOptions extends UpkeepOptions {
  /** The most bytes that the payload of an event may have. */
  maxEventSize: number
  /** For how long a subject without a stream is still present, in milliseconds. */
  presenceGrace: number
  /** The most named cursors of a subject. */
  maxCursorsPerSubject: number
  /** After how long without use a named cursor is forgotten, in milliseconds. */
  cursorTtl: number
  /** Told of what went wrong where nobody waits for an answer. */
  onError?: (err: unknown, message: string) => void
}

/** A stream to be opened. */
export interface Subscription {
  info: SubscriberInfo
  selection: Selection
  format: Format
  start: Start
  sink: Sink
  /** The named cursor that the stream was opened with. */
  cursor?: CursorName | undefined
  slow?: SlowPolicy
}

/** The newest retained events that a stream gets of patterns that it is given. */
export interface WantedReplay {
  /** The patterns, all of them new to the stream. */
  selection: Selection
  /** The most events. */
  count: number
}

/** How long after one group of streams the next is ended when the hub drains, in milliseconds. */
const DRAIN_STEP = 50

export class Hub implements SubscriberOwner {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout = new Fanout()
  readonly #catchUp: CatchUp
  readonly #readers: EventReaders
  /** How far subjects have read, by their own account. */
  readonly cursors: NamedCursors
  readonly #presence: Presence
  readonly #systemTopics: SystemTopics
  /** The streams that are open. */
  readonly connections = new Connections()
  readonly #reaper: StreamReaper
  readonly #maxEventSize: number
  readonly #onError: (err: unknown, message: string) => void
  readonly #unfollow: () => void
  /** The newest sequence that the fanout has been given. */
  #head: number
  #frames = 0
  #state: 'open' | 'draining' | 'closed' = 'open'
  /** Whether it is about to close, and waits for no request that lasts. */
  #isEnding = false
  #closing: Promise<void> | undefined

  constructor(
    log: EventLog,
    { maxEventSize, presenceGrace, maxCursorsPerSubject, cursorTtl, onError = () => undefined, ...reaper }: HubOptions,
  ) {
    this.#log = log
    this.#head = log.head
    this.#encoder = new Encoder(log.epoch)
    this.#catchUp = new CatchUp(log, this.#encoder, this.#fanout, () => this.#head)
    this.#readers = new EventReaders(
      log,
      () => this.#head,
      (sequence) => this.cursor(sequence),
    )
    this.#presence = new Presence(presenceGrace, (type, change) => this.#tell(change.topic, change, type))
    this.#systemTopics = new SystemTopics({
      connections: this.connections,
      fanout: this.#fanout,
      log: () => log.stats(),
      describe: (subscriber) => this.describe(subscriber),
      tell: (topic, data) => this.#tell(topic, data),
    })
    this.cursors = new NamedCursors(log.records, {
      epoch: log.epoch,
      limit: maxCursorsPerSubject,
      ttl: cursorTtl,
      onError,
    })
    this.#maxEventSize = maxEventSize
    this.#onError = onError
    this.#unfollow = log.follow((events) => this.#dispatch(events))
    this.#reaper = new StreamReaper(
      this.connections,
      reaper,
      (subscriber) => this.#beat(subscriber),
      (now) => {
        this.#fanout.releaseOld()
        this.cursors.tick()
        this.#presence.tick(now)
      },
    )
  }

  /** Whether streams are being ended because the hub is about to stop. */
  get draining(): boolean {
    return this.#state !== 'open'
  }

  /** Why nothing can be published at the moment; `undefined` while all is well. */
  get failure(): Error | undefined {
    return this.#log.failure
  }

  /** The epoch of its log. */
  get epoch(): string {
    return this.#log.epoch
  }

  /** The newest sequence that subscribers may have been sent. */
  get head(): number {
    return this.#head
  }

  /** The cursor of a sequence. */
  cursor(sequence: number): string {
    return this.#encoder.cursor(sequence)
  }

  /** Small things that are kept beside the events. */
  get records(): Records {
    return this.#log.records
  }

  /** How much the log holds. */
  stats(): LogStats {
    return this.#log.stats()
  }

  /**
   * Publishes one event. Resolves when it is durable.
   * @throws HubError `invalid-topic`, `reserved-topic`, `invalid-event`, `event-too-large`, `too-many-topics`,
   * `too-many-ids`, `log-unavailable`
   */
  async publish(topic: string, input: EventInput): Promise<Receipt> {
    const event = this.check(topic, input)
    this.#requireOpen()
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
    return { accepted: events.length, duplicates, lastId: last === 0 ? null : this.cursor(last) }
  }

  /**
   * Finds where a stream would begin.
   * @param cursor the named cursor that it goes on from when the request has no last event id
   */
  locate(selection: Selection, request: StartRequest, cursor?: CursorName): Promise<Start> {
    const known = cursor && this.cursors.get(cursor)
    if (cursor && !known) return locateFirst(this.#log, this.#head, selection, request)
    return locate(this.#log, this.#head, selection, { ...request, lastEventId: request.lastEventId ?? known?.id })
  }

  /** The id from which a client may resume a stream; `undefined`: there is none until it has been told of a gap. */
  resumeId(stream: Pick<Start, 'gap' | 'sequence'>): string | undefined {
    return this.#encoder.resumeId(stream)
  }

  /** Opens a stream: sends its first block at once, then what it asked for of the past, then what is new. */
  subscribe({ info, selection, format, start, sink, cursor, slow: policy }: Subscription): Subscriber {
    this.#requireOpen()
    const feed = this.#fanout.feed(selection, format, this.#head)
    this.#fanout.enter(feed, info)
    const subscriber = new Subscriber({
      info,
      feed,
      sequence: start.sequence,
      head: this.#head,
      sink,
      owner: this,
      policy,
    })
    subscriber.gap = start.gap
    subscriber.announceLive = start.past
    subscriber.knownTrims = start.replayedAt
    if (start.latestUntil !== undefined) subscriber.stall = { told: true, until: start.latestUntil }
    this.connections.add(subscriber)
    if (cursor) this.cursors.opened(cursor, subscriber)
    this.#systemTopics.changed(subscriber, 'opened')
    this.#presentAt(subscriber, undefined, selection)
    subscriber.send(this.#encoder.open(this.resumeId(subscriber), info.id, selection.patterns, drawRetry()))
    if (!subscriber.isClosed) this.#run(subscriber)
    return subscriber
  }

  /** Returns all blocks of a stream that is opened with a token that has expired. */
  expiredStream({
    id,
    selection: { patterns },
    start,
  }: Pick<Subscription, 'selection' | 'start'> & Pick<SubscriberInfo, 'id'>): Chunk {
    const open = this.#encoder.open(this.resumeId(start), id, patterns, drawRetry())
    return Chunk.join([open, closeBlock('expired', drawRetry())])
  }

  /**
   * Gives an open stream other topics: from its cursor on it gets the events of these and no others. An open block
   * tells it so.
   * @param replay the retained events before its cursor that it gets first
   */
  move(subscriber: Subscriber, selection: Selection, replay?: WantedReplay): void {
    this.#fanout.flush(subscriber)
    if (subscriber.isClosed) return
    const { selection: before, wire } = subscriber.feed
    const isLive = subscriber.state === 'live'
    if (isLive) subscriber.sequence = this.#head // it has been sent everything
    const feed = this.#fanout.feed(selection, wire.format, this.#head)
    this.#fanout.enter(feed, subscriber.info)
    this.#fanout.leave(subscriber)
    if (replay)
      subscriber.replays.push({
        ...replay,
        wanted: replay.selection,
        until: subscriber.sequence,
        after: undefined,
        trims: this.#log.trims,
      })
    subscriber.moveTo(feed, this.#head)
    this.#presentAt(subscriber, before, selection)
    if (isLive) this.#run(subscriber)
    this.#systemTopics.changed(subscriber, 'changed')
  }

  /**
   * Gives an open stream another token of the same subject. A token that has expired ends it.
   * @param selection what it may still read
   */
  renew(subscriber: Subscriber, principal: Principal, selection?: Selection): void {
    subscriber.info.principal = principal
    if (hasExpired(principal)) return subscriber.end('expired')
    if (subscriber.info.observes && !principal.admin) this.#show(subscriber)
    this.#presence.renewed(principal, subscriber.feed.selection)
    if (selection) this.move(subscriber, selection)
    else this.#systemTopics.changed(subscriber, 'changed')
  }

  /** What is told of an open stream. */
  describe(subscriber: Subscriber): StreamInfo {
    return describeStream(subscriber, this.positionOf(subscriber), this.lag(subscriber))
  }

  /** How many events of the log a stream may still lack. */
  lag({ state, sequence, feed, place }: Subscriber): number {
    return (state === 'live' || state === 'closed') && place === feed.end ? 0 : this.#head - sequence
  }

  /** Where a stream is: the cursor from which it would go on. */
  positionOf(subscriber: Subscriber): string {
    return this.cursor(this.#head - this.lag(subscriber))
  }

  /** The subjects that are present on a topic. */
  present(topic: string): Present[] {
    return this.#presence.on(topic)
  }

  /** The sequence before the newest `count` events of a selection. */
  before(selection: Selection, count: number): Promise<number> {
    return this.#log.before(selection, count)
  }

  /** Reads history. */
  read(selection: Selection, options: { after: number; events: number; bytes?: number }): Promise<Page> {
    return this.#log.read(selection, { ...options, until: this.#head })
  }

  /**
   * Reads events: from where `from` says, and then each that is published, in order and once. Missing events are told
   * by a gap. Ends when `signal` is aborted or the hub is about to close.
   * @throws HubError `invalid-pattern`, `reserved-topic`, `invalid-event`, `invalid-cursor`, `hub-closed`; the
   *   iteration itself `log-unavailable`
   */
  events(
    patterns: string | readonly string[],
    options: EventsOptions = {},
  ): AsyncIterableIterator<HubEvent | EventGap> {
    this.#requireOpen()
    return this.#readers.open(patterns, options)
  }

  /**
   * What there is of a topic. Every topic exists by name, so there is an answer for each.
   * @throws HubError `invalid-topic`
   */
  async topic(topic: string): Promise<TopicInfo> {
    requireTopicName(topic)
    const stats = await this.#log.topic(topic)
    return stats
      ? this.#describe(stats)
      : { topic, subscribers: this.#fanout.subscribers(topic), events: 0, bytes: 0, firstId: null, lastId: null }
  }

  /**
   * Lists the topics of which the log holds something, by name.
   * @param accepts names that it says no to are left out
   */
  async topics(
    options: TopicsOptions,
    accepts: (topic: string) => boolean,
  ): Promise<{ topics: TopicInfo[]; more: boolean }> {
    const { topics, more } = await this.#log.topics(options, accepts)
    return { topics: await mapInTurns(topics, (stats) => this.#describe(stats)), more }
  }

  /**
   * Takes every event of a topic out of the log. Streams that have not been sent them yet are told of a gap.
   * @returns how many events that were
   * @throws HubError `invalid-topic`, `reserved-topic`, `log-unavailable`
   */
  async purge(topic: string): Promise<number> {
    requireTopic(topic)
    return this.#log.purge(topic)
  }

  /** The part of a subscriber's sink: it has room again. */
  resume(subscriber: Subscriber): void {
    const { feed, place, stall } = subscriber
    if (place !== undefined && !stall && feed.holds(place)) this.#fanout.join(subscriber, place)
    else this.#run(subscriber)
  }

  /** The part of a subscriber: it has ended. */
  leave(subscriber: Subscriber, reason?: CloseReason): void {
    if (!this.connections.delete(subscriber)) return
    this.#fanout.leave(subscriber)
    this.#systemTopics.changed(subscriber, 'closed', reason ?? 'gone')
    this.#presentAt(subscriber, subscriber.feed.selection, undefined)
    this.cursors.closed(subscriber)
  }

  /**
   * Ends every stream in small groups, spread over a time, so that not everybody reconnects at once.
   * @param time in milliseconds, at most a day
   * @throws SettingsError when `time` is no such number; the hub goes on
   */
  async drain(time: number): Promise<void> {
    if (!Number.isFinite(time) || time < 0 || time > MAX_DRAIN)
      throw new SettingsError(
        `The time to drain in is a number of milliseconds from 0 to ${MAX_DRAIN} (a day), not ${quote(time)}.`,
      )
    if (this.#state !== 'open') return
    this.#state = 'draining'
    const deadline = monotonicNow() + time
    for (;;) {
      const left = deadline - monotonicNow()
      const group = Math.ceil(this.connections.size / Math.max(1, Math.floor(left / DRAIN_STEP)))
      this.#end(group, 'drain')
      if (this.connections.size === 0) return
      await new Promise((resolve) => setTimeout(resolve, Math.min(DRAIN_STEP, Math.max(0, left))))
    }
  }

  /**
   * Has the log begin to write nothing more. When it resolves, the process can exit; while the log writes,
   * `process.exit()` may wait forever.
   */
  halt(): Promise<void> {
    return this.#log.halt()
  }

  /** Ends every stream that is still open, and closes the log. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.endStreams()
    this.#state = 'closed'
    this.#reaper.stop()
    this.#systemTopics.stop()
    this.#unfollow()
    await this.cursors.close()
    await this.#log.close()
  }

  /** Ends every stream and every reader at once, opens no more streams, and has requests that last be answered. */
  endStreams(): void {
    if (this.#state === 'open') this.#state = 'draining'
    this.#isEnding = true
    this.#readers.end()
    this.#end(this.connections.size, 'drain')
  }

  #end(count: number, reason: CloseReason): void {
    for (const subscriber of this.connections.values()) {
      if (count-- <= 0) return
      subscriber.end(reason)
    }
  }

  /** A stream that observes is present nowhere. */
  #presentAt({ info }: Subscriber, before: Selection | undefined, after: Selection | undefined): void {
    if (!info.observes) this.#presence.moved(info.principal, before, after)
  }

  /** Makes a stream that observed count as any other: its token does not allow that any more. */
  #show(subscriber: Subscriber): void {
    const { feed, info } = subscriber
    info.observes = false
    feed.observers--
    this.#presentAt(subscriber, undefined, feed.selection)
  }

  /** A stream that is live and has nothing to come has seen everything up to the head. */
  #beat(subscriber: Subscriber): void {
    subscriber.sequence = this.#head
    subscriber.send(this.#encoder.heartbeat(this.#head))
  }

  #run(subscriber: Subscriber): void {
    this.#catchUp.run(subscriber).catch((err: unknown) => {
      this.#onError(err, 'a stream could not be served from the log')
      subscriber.end('busy')
    })
  }

  #dispatch(events: readonly StoredEvent[]): void {
    for (const event of events) {
      this.#head = event.sequence
      this.#systemTopics.published(event)
      this.#readers.published(event)
      this.#fanout.dispatch(new Frame(this.#encoder, event, event.sequence, ++this.#frames, event.time))
    }
  }

  #describe({ topic, events, bytes, first, last }: TopicStats): TopicInfo {
    return {
      topic,
      subscribers: this.#fanout.subscribers(topic),
      events,
      bytes,
      firstId: this.cursor(first),
      lastId: this.cursor(last),
    }
  }

  /**
   * Called again and again by requests that last, such as uploads.
   * @throws HubError `hub-closed` when the hub is about to close
   */
  requireTime(): void {
    if (this.#isEnding)
      throw new HubError('hub-closed', 'The hub is about to stop, and has waited for as long as it may.')
  }

  #requireOpen(): void {
    if (this.#state === 'closed') throw new HubError('hub-closed', 'The hub is closed.')
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
    this.#requireOpen()
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

  #publishEphemeral(event: NewEvent): undefined {
    this.#systemTopics.published(event)
    this.#sendEphemeral(event)
  }

  /** Sends something of the hub's own. */
  #tell(topic: string, data: object, type?: string): void {
    this.#sendEphemeral({ topic, type, id: undefined, kind: 'json', payload: JSON.stringify(data) })
  }

  #sendEphemeral(event: NewEvent): void {
    const order = ++this.#frames
    this.#fanout.dispatch(
      new Frame(this.#encoder, event, undefined, order, wallNow(), `${this.cursor(this.#head)}-ephemeral-${order}`),
    )
  }

  /** How many subscribers an event is being sent to. */
  #reach({ topic, type }: NewEvent, outcome: Appended | undefined): number {
    return outcome?.duplicate ? 0 : this.#fanout.count(topic, type)
  }

  /** @param outcome what became of it in the log; `undefined`: it is ephemeral */
  #receipt(event: CheckedEvent, outcome: Appended | undefined): Receipt {
    const id = outcome ? this.cursor(outcome.sequence) : null
    return { id, topic: event.topic, duplicate: outcome?.duplicate ?? false, subscribers: this.#reach(event, outcome) }
  }
}
