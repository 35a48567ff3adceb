/** The streams of a hub. Opens, changes and describes them, and notifies the other parts of the hub. */
import type { EventLog } from '../log/log.js'
import { hasExpired, type Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import { FairScheduler } from '../event-loop/fair-scheduler.js'
import { Chunk } from '../wire/chunk.js'
import type { Sink } from '../wire/sink.js'
import { closeBlock, drawRetry, type CloseReason, type Encoder, type Format } from '../wire/sse.js'
import type { WantedReplay } from './backlog.js'
import { CatchUpCache } from './catch-up-cache.js'
import type { ClusterPresence } from './cluster/cluster-presence.js'
import { waitFor } from './cluster/log-wait.js'
import type { Messenger } from './cluster/messenger.js'
import type { Connection, Connections } from './connections.js'
import type { Fanout } from './fanout.js'
import type { Feed } from './feed.js'
import type { HubFigures } from './figures.js'
import type { HubFiniteTopics } from './finite/finite-topics.js'
import type { Lifecycle } from './lifecycle.js'
import type { CursorName, NamedCursors } from './named-cursors.js'
import { locate, locateFirst, type Start, type StartRequest } from './start.js'
import { describeStream, type StreamInfo } from './stream-info.js'
import { StreamReaper, type ReaperOptions } from './stream-reaper.js'
import { Stream, type SlowPolicy, type StreamIdentity, type StreamSource } from './stream.js'
import type { SystemTopics } from './system-topics.js'

/** A stream to open. */
export interface Subscription {
  info: StreamIdentity
  selection: Selection
  format: Format
  start: Start
  sink: Sink
  /** The named cursor that the stream is opened with. */
  cursor?: CursorName | undefined
  slow?: SlowPolicy
}

/** The parts of the hub that streams work with. */
export interface StreamsSource {
  log: EventLog
  lifecycle: Lifecycle
  encoder: Encoder
  fanout: Fanout
  figures: HubFigures
  /** The open streams. */
  connections: Connections
  cursors: NamedCursors
  /** Notified of each stream that opens, changes or ends. */
  systemTopics: SystemTopics
  /** Is notified of the topics of each stream. */
  presence: ClusterPresence
  messenger: Messenger
  finite: HubFiniteTopics
}

export interface StreamsOptions extends ReaperOptions {
  /** Receives errors of background work. */
  onError: (err: unknown, message: string) => void
  /** Called a few times a second, with the time on the monotonic clock. */
  onRound: (now: number) => void
}

export class Streams {
  readonly #source: StreamsSource
  /** The parts that every stream works with. */
  readonly #streamSource: StreamSource
  readonly #reaper: StreamReaper
  readonly #onError: StreamsOptions['onError']

  constructor(source: StreamsSource, { onError, onRound, ...reaping }: StreamsOptions) {
    const { log, encoder, fanout, figures, connections, cursors, presence } = source
    const head = () => fanout.head
    this.#source = source
    this.#onError = onError
    this.#streamSource = {
      log,
      figures,
      encoder,
      head,
      batches: new CatchUpCache(log, encoder, head),
      scheduler: new FairScheduler(),
      onEnd: (stream, reason) => this.#ended(stream, reason),
      onError,
    }
    this.#reaper = new StreamReaper(
      connections,
      reaping,
      (stream) => stream.beat(fanout.head),
      (now) => {
        fanout.releaseOld()
        cursors.tick()
        presence.tick(now)
        onRound(now)
      },
    )
  }

  /** Stops the timer of the streams. All streams must have ended. */
  stop(): void {
    this.#reaper.stop()
  }

  /**
   * Finds where a stream would begin.
   * @param cursor the named cursor to continue from if the request has no last event id
   */
  async locate(selection: Selection, request: StartRequest, cursor?: CursorName): Promise<Start> {
    const { log, presence } = this.#source
    if (selection.presence) await presence.follow()
    const { epoch } = log.view
    const start = await this.#locate(selection, request, cursor)
    const [topic] = selection.topics
    if (selection.isSingleTopic && !start.gap) start.hasEnded = await this.#hasEnded(topic!, start, request)
    // a log that has been replaced meanwhile has other sequences
    return log.view.epoch === epoch ? start : this.locate(selection, request, cursor)
  }

  async #locate(selection: Selection, request: StartRequest, cursor?: CursorName): Promise<Start> {
    const { log, fanout, cursors } = this.#source
    const known = cursor && (await cursors.get(cursor))
    if (cursor && !known) return locateFirst(log, fanout.head, selection, request)
    const lastEventId = request.lastEventId ?? known?.id
    const caughtUp = this.caughtUp(lastEventId)
    if (caughtUp) await caughtUp
    return locate(log, fanout.head, selection, { ...request, lastEventId })
  }

  /** Whether a stream would begin behind the end of its topic. */
  async #hasEnded(topic: string, { sequence }: Start, { lastEventId }: StartRequest): Promise<boolean> {
    const { finite } = this.#source
    // a subscriber that reconnects after the removal of its topic has read exactly up to the end; a new one waits for
    // the next topic of this name
    if (lastEventId !== undefined && finite.removedEndOf(topic) === sequence) return true
    const end = await finite.endOf(topic)
    return end !== undefined && sequence >= end
  }

  /** As `waitFor` of `cluster/log-wait.ts`. */
  caughtUp(id: string | undefined): Promise<void> | undefined {
    const { log, fanout, messenger } = this.#source
    return waitFor({ messenger, log, head: () => fanout.head }, id)
  }

  /** Returns the id from which a subscriber may resume a stream; `undefined`: none until a gap has been reported. */
  resumeId(stream: Pick<Start, 'gap' | 'sequence'>): string | undefined {
    return this.#source.encoder.resumeId(stream)
  }

  /** Opens a stream: sends the first block at once, then the requested history, then new events. */
  subscribe({ info, selection, format, start, sink, cursor, slow }: Subscription): Stream {
    const { lifecycle, fanout, connections, cursors, systemTopics } = this.#source
    lifecycle.requireOpen()
    const { head } = fanout
    const feed = fanout.enter(selection, format, info.observes)
    const stream = new Stream(this.#streamSource, { identity: info, feed, head, start, sink, policy: slow })
    connections.add(stream)
    if (cursor) cursors.opened(cursor, stream)
    systemTopics.changed(stream, 'opened')
    this.#presentAt(stream, undefined, selection)
    stream.open()
    return stream
  }

  /** Returns all blocks of a stream whose token has expired. */
  expiredStream({
    id,
    selection: { patterns },
    start,
  }: Pick<Subscription, 'selection' | 'start'> & Pick<StreamIdentity, 'id'>): Chunk {
    const open = this.#source.encoder.open(this.resumeId(start), id, patterns, drawRetry())
    return Chunk.join([open, closeBlock('expired', drawRetry())])
  }

  /**
   * Moves an open stream to other topics. After its cursor it gets only their events. An open block announces the move.
   * @param replay the retained events before the cursor that come first
   */
  move(stream: Stream, selection: Selection, replay?: WantedReplay): void {
    const { log, fanout, systemTopics } = this.#source
    stream.deliver()
    if (stream.isClosed) return
    const { head } = fanout
    const { feed: before, info } = stream
    const feed = fanout.enter(selection, before.wire.format, info.observes)
    stream.move(feed, head, replay, log.view.mark)
    fanout.leave(before, info.observes)
    this.#presentAt(stream, before.selection, selection)
    systemTopics.changed(stream, 'changed')
    if (selection.isSingleTopic) void this.#findEnd(stream, feed)
  }

  /** Ends a stream that has moved to one topic, if that has ended. */
  async #findEnd(stream: Stream, feed: Feed): Promise<void> {
    try {
      const end = await this.#source.finite.endOf(feed.selection.topics[0]!)
      if (end !== undefined) feed.endsAt ??= end
      if (stream.feed === feed) stream.foundEnd()
    } catch (err) {
      this.#onError(err, 'the end of a finite topic could not be read')
    }
  }

  /**
   * Replaces the token of an open stream by another of the same subject. An expired token ends the stream.
   * @param selection the events that the stream may still read; default: no change
   */
  renew(stream: Stream, principal: Principal, selection?: Selection): void {
    stream.renew(principal)
    if (hasExpired(principal)) return stream.end('expired')
    if (stream.info.observes && !principal.admin) {
      stream.stopObserving()
      this.#presentAt(stream, undefined, stream.feed.selection)
    }
    this.#source.presence.renewed(principal, stream.feed.selection)
    if (selection) this.move(stream, selection)
    else this.#source.systemTopics.changed(stream, 'changed')
  }

  /** Describes an open stream or live read. */
  describe(stream: Connection): StreamInfo {
    const { encoder, fanout } = this.#source
    const lag = stream.lag(fanout.head)
    return describeStream(stream, encoder.cursor(fanout.head - lag), lag)
  }

  #ended(stream: Stream, reason: CloseReason | 'ended' | undefined): void {
    const { fanout, connections, cursors, systemTopics } = this.#source
    if (!connections.delete(stream, reason ?? 'gone')) return
    fanout.leave(stream.feed, stream.info.observes)
    systemTopics.changed(stream, 'closed', reason ?? 'gone')
    this.#presentAt(stream, stream.feed.selection, undefined)
    cursors.closed(stream)
  }

  /** Updates presence, unless the stream observes. */
  #presentAt({ info }: Stream, before: Selection | undefined, after: Selection | undefined): void {
    if (!info.observes) this.#source.presence.moved(info.principal, before, after)
  }
}
