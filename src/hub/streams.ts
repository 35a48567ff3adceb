/** The streams of a hub: each is opened, changed and ended here, and run from its cursor to the present. */
import type { EventLog } from '../log/log.js'
import { hasExpired, type Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import { Chunk } from '../wire/chunk.js'
import type { Sink } from '../wire/sink.js'
import { closeBlock, drawRetry, type CloseReason, type Encoder, type Format } from '../wire/sse.js'
import { CatchUp } from './catch-up.js'
import type { Connections } from './connections.js'
import type { Dispatcher } from './dispatcher.js'
import type { Fanout } from './fanout.js'
import type { Lifecycle } from './lifecycle.js'
import type { CursorName, NamedCursors } from './named-cursors.js'
import { Presence, type Present } from './presence.js'
import { locate, locateFirst, type Start, type StartRequest } from './start.js'
import { describeStream, type StreamInfo } from './stream-info.js'
import { StreamReaper, type UpkeepOptions } from './stream-reaper.js'
import { Subscriber, type SlowPolicy, type SubscriberInfo, type SubscriberOwner } from './subscriber.js'
import type { SystemTopics } from './system-topics.js'

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

/** The parts of the hub that streams work with. */
export interface StreamsSource {
  log: EventLog
  lifecycle: Lifecycle
  encoder: Encoder
  dispatcher: Dispatcher
  fanout: Fanout
  /** Those that are open. */
  connections: Connections
  cursors: NamedCursors
  /** Are told of each stream that opens, changes or ends. */
  systemTopics: SystemTopics
}

export interface StreamsOptions extends UpkeepOptions {
  /** For how long a subject without a stream is still present, in milliseconds. */
  presenceGrace: number
  /** Told of what went wrong where nobody waits for an answer. */
  onError: (err: unknown, message: string) => void
}

export class Streams implements SubscriberOwner {
  readonly #source: StreamsSource
  readonly #onError: (err: unknown, message: string) => void
  readonly #catchUp: CatchUp
  readonly #presence: Presence
  readonly #reaper: StreamReaper

  constructor(source: StreamsSource, { presenceGrace, onError, ...upkeep }: StreamsOptions) {
    const { log, encoder, dispatcher, fanout, connections, cursors } = source
    this.#source = source
    this.#onError = onError
    this.#catchUp = new CatchUp(log, encoder, fanout, () => dispatcher.head)
    this.#presence = new Presence(presenceGrace, (type, change) => dispatcher.tell(change.topic, change, type))
    this.#reaper = new StreamReaper(
      connections,
      upkeep,
      (subscriber) => this.#beat(subscriber),
      (now) => {
        fanout.releaseOld()
        cursors.tick()
        this.#presence.tick(now)
      },
    )
  }

  /** Looks after streams no longer. They have to be ended before. */
  stop(): void {
    this.#reaper.stop()
  }

  /**
   * Finds where a stream would begin.
   * @param cursor the named cursor that it goes on from when the request has no last event id
   */
  async locate(selection: Selection, request: StartRequest, cursor?: CursorName): Promise<Start> {
    const { log, dispatcher, cursors } = this.#source
    const known = cursor && (await cursors.get(cursor))
    if (cursor && !known) return locateFirst(log, dispatcher.head, selection, request)
    return locate(log, dispatcher.head, selection, { ...request, lastEventId: request.lastEventId ?? known?.id })
  }

  /** The id from which a client may resume a stream; `undefined`: there is none until it has been told of a gap. */
  resumeId(stream: Pick<Start, 'gap' | 'sequence'>): string | undefined {
    return this.#source.encoder.resumeId(stream)
  }

  /** Opens a stream: sends its first block at once, then what it asked for of the past, then what is new. */
  subscribe({ info, selection, format, start, sink, cursor, slow: policy }: Subscription): Subscriber {
    const { lifecycle, encoder, dispatcher, fanout, connections, cursors, systemTopics } = this.#source
    lifecycle.requireOpen()
    const { head } = dispatcher
    const feed = fanout.feed(selection, format, head)
    fanout.enter(feed, info)
    const subscriber = new Subscriber({ info, feed, sequence: start.sequence, head, sink, owner: this, policy })
    subscriber.gap = start.gap
    subscriber.announceLive = start.past
    subscriber.knownTrims = start.replayedAt
    if (start.latestUntil !== undefined) subscriber.stall = { told: true, until: start.latestUntil }
    connections.add(subscriber)
    if (cursor) cursors.opened(cursor, subscriber)
    systemTopics.changed(subscriber, 'opened')
    this.#presentAt(subscriber, undefined, selection)
    subscriber.send(encoder.open(this.resumeId(subscriber), info.id, selection.patterns, drawRetry()))
    if (!subscriber.isClosed) this.#run(subscriber)
    return subscriber
  }

  /** Returns all blocks of a stream that is opened with a token that has expired. */
  expiredStream({
    id,
    selection: { patterns },
    start,
  }: Pick<Subscription, 'selection' | 'start'> & Pick<SubscriberInfo, 'id'>): Chunk {
    const open = this.#source.encoder.open(this.resumeId(start), id, patterns, drawRetry())
    return Chunk.join([open, closeBlock('expired', drawRetry())])
  }

  /**
   * Gives an open stream other topics: from its cursor on it gets the events of these and no others. An open block
   * tells it so.
   * @param replay the retained events before its cursor that it gets first
   */
  move(subscriber: Subscriber, selection: Selection, replay?: WantedReplay): void {
    const { log, dispatcher, fanout, systemTopics } = this.#source
    fanout.flush(subscriber)
    if (subscriber.isClosed) return
    const { head } = dispatcher
    const { selection: before, wire } = subscriber.feed
    const isLive = subscriber.state === 'live'
    if (isLive) subscriber.sequence = head // it has been sent everything
    const feed = fanout.feed(selection, wire.format, head)
    fanout.enter(feed, subscriber.info)
    fanout.leave(subscriber)
    if (replay)
      subscriber.replays.push({
        ...replay,
        wanted: replay.selection,
        until: subscriber.sequence,
        after: undefined,
        trims: log.view.mark,
      })
    subscriber.moveTo(feed, head)
    this.#presentAt(subscriber, before, selection)
    if (isLive) this.#run(subscriber)
    systemTopics.changed(subscriber, 'changed')
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
    else this.#source.systemTopics.changed(subscriber, 'changed')
  }

  /** What is told of an open stream. */
  describe(subscriber: Subscriber): StreamInfo {
    const { encoder, dispatcher } = this.#source
    const lag = this.#lag(subscriber)
    return describeStream(subscriber, encoder.cursor(dispatcher.head - lag), lag)
  }

  /** The subjects that are present on a topic. */
  present(topic: string): Present[] {
    return this.#presence.on(topic)
  }

  /** The part of a subscriber's sink: it has room again. */
  resume(subscriber: Subscriber): void {
    const { feed, place, stall } = subscriber
    if (place !== undefined && !stall && feed.holds(place)) this.#source.fanout.join(subscriber, place)
    else this.#run(subscriber)
  }

  /** The part of a subscriber: it has ended. */
  leave(subscriber: Subscriber, reason?: CloseReason): void {
    const { fanout, connections, cursors, systemTopics } = this.#source
    if (!connections.delete(subscriber)) return
    fanout.leave(subscriber)
    systemTopics.changed(subscriber, 'closed', reason ?? 'gone')
    this.#presentAt(subscriber, subscriber.feed.selection, undefined)
    cursors.closed(subscriber)
  }

  /** How many events of the log a stream may still lack. */
  #lag({ state, sequence, feed, place }: Subscriber): number {
    return (state === 'live' || state === 'closed') && place === feed.end ? 0 : this.#source.dispatcher.head - sequence
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
    const { encoder, dispatcher } = this.#source
    subscriber.sequence = dispatcher.head
    subscriber.send(encoder.heartbeat(dispatcher.head))
  }

  #run(subscriber: Subscriber): void {
    this.#catchUp.run(subscriber).catch((err: unknown) => {
      this.#onError(err, 'a stream could not be served from the log')
      subscriber.end('busy')
    })
  }
}
