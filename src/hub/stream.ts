/** A stream: a cursor into the log and a sink. Nothing is queued for it. */
import type { FairScheduler } from '../event-loop/fair-scheduler.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import type { Principal } from '../model/principal.js'
import type { Chunk } from '../wire/chunk.js'
import type { Lender, Sink, SinkListener } from '../wire/sink.js'
import { closeBlock, drawRetry, type CloseReason, type Encoder } from '../wire/sse.js'
import { Backlog, type BacklogSource, type WantedReplay } from './backlog.js'
import type { Feed, FeedReader } from './feed.js'
import type { Start } from './start.js'

export type StreamState = 'catching-up' | 'live' | 'waiting' | 'closed'

/**
 * What a stream is sent after its subscriber has stalled: everything (`resume`), or the newest event of each topic
 * (`latest`).
 */
export type SlowPolicy = 'resume' | 'latest'

/** Whose stream it is. */
export interface StreamIdentity {
  /** Its connection's id. */
  readonly id: string
  /** The subscriber's address; `undefined`: there is none, as on a Unix socket. */
  readonly address: string | undefined
  /** Whether an admin looks on: the stream is neither present nor counted among a topic's subscribers. */
  readonly observes?: boolean
  /** The subscriber. A renewed token of the same subject replaces it. */
  readonly principal: Principal
}

/** The parts of the hub that every stream works with. */
export interface StreamSource extends BacklogSource {
  encoder: Encoder
  scheduler: FairScheduler
  /** @param reason why the hub ended it; `undefined`: the peer has gone */
  onEnd: (stream: Stream, reason: CloseReason | undefined) => void
  /** Told why a stream could not be sent its history. */
  onError: (err: unknown, message: string) => void
}

export interface StreamOptions {
  identity: StreamIdentity
  feed: Feed
  /** The newest sequence that its feed may have been given. */
  head: number
  start: Start
  sink: Sink
  policy?: SlowPolicy | undefined
}

/** How long a sink may be full during catch-up before the subscriber counts as stalled, in milliseconds. */
const STALL = 1_000

/**
 * One open stream. It alone changes its state:
 *
 * | transition | from | to | what happens |
 * | --- | --- | --- | --- |
 * | `open` | – | catching-up | sends the first block |
 * | `catchUp` | catching-up, waiting | catching-up | sends its backlog from the log, in turn with other streams |
 * | `goLive` | catching-up, waiting | live | joins its feed, which reaches back to its cursor |
 * | `wait` | catching-up, live | waiting | the sink is full |
 * | `drain` | waiting | live, catching-up | live where the feed still holds its place, else from the log |
 * | `move` | live | catching-up | reads other topics from the same cursor |
 * | `move` | catching-up, waiting | unchanged | the same |
 * | `end` | any | closed | sends the reason as the last block |
 * | peer gone | any | closed | – |
 */
export class Stream implements SinkListener, FeedReader {
  // What each write touches stands together at the beginning: with a thousand streams every cache line is a miss.
  #feed: Feed
  /** Its cursor: every event asked for, up to this sequence, has been handed to its sink. */
  #sequence: number
  /** The place in its feed from which it reads on; `undefined`: it reads the log. */
  #place: number | undefined
  #sentEvents = 0
  #sentBytes = 0
  readonly #sink: Sink
  /** On the monotonic clock. */
  #lastWrite: number
  #state: StreamState = 'catching-up'

  readonly #source: StreamSource
  readonly #policy: SlowPolicy
  #identity: StreamIdentity
  /** Where its feed ended when the stream began to read it, and the log. */
  #origin: { place: number; sequence: number }
  /** What it has to be sent before it goes live; `undefined`: nothing but the events behind its cursor. */
  #backlog: Backlog | undefined
  /** The number of the latest catch-up: an earlier one that still runs stops. */
  #run = 0
  /** Since when its sink has been full, on the monotonic clock; `undefined`: it has room. */
  #fullSince: number | undefined
  /** When the stream was opened, on the monotonic clock. */
  readonly openedAt: number
  /** When the stream was opened, on the wall clock. */
  readonly since = wallNow()

  constructor(source: StreamSource, { identity, feed, head, start, sink, policy = 'resume' }: StreamOptions) {
    this.#source = source
    this.#identity = identity
    this.#feed = feed
    this.#sequence = start.sequence
    this.#origin = { place: feed.end, sequence: head }
    this.#policy = policy
    this.#sink = sink
    this.#backlog = new Backlog(source, start)
    this.openedAt = this.#lastWrite = monotonicNow()
    sink.listener = this
  }

  get info(): StreamIdentity {
    return this.#identity
  }

  get feed(): Feed {
    return this.#feed
  }

  get state(): StreamState {
    return this.#state
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Whether its sink is full, or was when it was closed. */
  get isFull(): boolean {
    return this.#fullSince !== undefined
  }

  /** Its cursor, as a sequence. */
  get sequence(): number {
    return this.#sequence
  }

  /** How many events its sink has been given. */
  get sentEvents(): number {
    return this.#sentEvents
  }

  /** How many bytes its sink has been given. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** When its sink was last given anything, on the monotonic clock. */
  get lastWrite(): number {
    return this.#lastWrite
  }

  /** How many replays it still has to be sent. */
  get pendingReplays(): number {
    return this.#backlog?.replays ?? 0
  }

  /** How many events of the log it may still lack. */
  lag(head: number): number {
    const isUpToDate = (this.#state === 'live' || this.#state === 'closed') && this.#place === this.#feed.end
    return isUpToDate ? 0 : head - this.#sequence
  }

  /** Sends the first block, then its backlog, then new events. */
  open(): void {
    if (this.send(this.#openBlock(this.#backlog?.resumeId(this.#sequence)))) this.#resume()
  }

  /** Sends what its feed has for it while it is live. */
  deliver(now?: number): void {
    if (this.#state !== 'live') return
    const feed = this.#feed
    while (this.#place! < feed.end) {
      const batch = feed.batch(this.#place!)
      this.#place = batch.to
      if (batch.sequence !== undefined) this.#sequence = batch.sequence
      if (!this.send(batch.chunk, batch.events, now)) return
    }
  }

  /** Sends a heartbeat. A stream that is live and has nothing to come has read everything up to the head. */
  beat(head: number): void {
    this.#sequence = head
    this.send(this.#source.encoder.heartbeat(head))
  }

  /**
   * Hands a chunk to the sink.
   * @param now on the monotonic clock: a sweep reads the clock once for many streams
   * @param lender as for `Sink.write`
   * @returns `false`: the sink is full now, and the stream waits
   */
  send(chunk: Chunk, events = 0, now = monotonicNow(), lender?: Lender): boolean {
    this.#sentEvents += events
    this.#sentBytes += chunk.length
    this.#lastWrite = now
    if (this.#sink.write(chunk, lender)) return true
    this.#wait(now)
    return false
  }

  /** Replaces the principal by another of the same subject. */
  renew(principal: Principal): void {
    this.#identity = { ...this.#identity, principal }
  }

  /** The stream counts as any other from now on. */
  stopObserving(): void {
    this.#identity = { ...this.#identity, observes: false }
    this.#feed.stopObserving()
  }

  /**
   * Reads another feed from now on, from the same cursor. An open block says so.
   * @param head the newest sequence that the feed may have been given
   * @param replay retained events before its cursor that come first
   * @param mark the trim mark: what was trimmed by then was not asked for by the replay
   */
  move(feed: Feed, head: number, replay: WantedReplay | undefined, mark: number): void {
    const before = this.#feed
    const wasLive = this.#state === 'live'
    const backlog = (this.#backlog ??= new Backlog(this.#source))
    if (wasLive)
      this.#sequence = head // `deliver` has sent everything
    else backlog.carry(before.ephemeralSince(this.#placeToCarryFrom(before)))
    backlog.move(before.selection, feed.selection)
    if (replay) backlog.addReplay(replay, this.#sequence, mark)
    before.live.delete(this)
    this.#feed = feed
    this.#place = undefined
    this.#origin = { place: feed.end, sequence: head }
    if (wasLive) {
      this.#state = 'catching-up'
      this.#resume()
    }
  }

  /** Ends the stream, with the reason as its last block. */
  end(reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#close()
    this.#sink.end(closeBlock(reason, drawRetry(reason === 'busy')))
    this.#source.onEnd(this, reason)
  }

  /** As `SinkListener.drained`. */
  drained(): void {
    const fullFor = monotonicNow() - this.#fullSince!
    this.#fullSince = undefined
    // History fills any socket for moments. Only a subscriber that takes nothing for longer has stalled.
    if (this.#policy === 'latest' && fullFor > STALL) this.#skip()
    if (this.#state !== 'waiting') return
    if (this.#place !== undefined && !this.#backlog?.skips && this.#feed.holds(this.#place)) this.#goLive(this.#place)
    else this.#resume()
  }

  /** As `SinkListener.stalled`. With `latest` a stalled stream costs nothing, and may last. */
  stalled(): void {
    if (this.#policy === 'resume') this.end('slow')
  }

  /** As `SinkListener.closed`. */
  closed(): void {
    if (this.#state === 'closed') return
    this.#close()
    this.#source.onEnd(this, undefined)
  }

  #close(): void {
    this.#state = 'closed'
    this.#feed.live.delete(this)
  }

  #wait(now: number): void {
    this.#fullSince ??= now
    this.#feed.live.delete(this)
    if (this.#state === 'live' && this.#policy === 'latest') this.#skip()
    if (this.#state !== 'closed') this.#state = 'waiting'
  }

  #goLive(place: number): void {
    this.#state = 'live'
    this.#place = place
    this.#backlog = undefined
    this.#feed.live.add(this)
    this.deliver()
  }

  /** Of each topic it gets only the newest event, up to the head when it reads again. */
  #skip(): void {
    ;(this.#backlog ??= new Backlog(this.#source)).skip()
  }

  #resume(): void {
    if (this.#state === 'closed') return
    this.#catchUp().catch((err: unknown) => {
      this.#source.onError(err, 'a stream could not be served from the log')
      this.end('busy')
    })
  }

  /**
   * Sends its backlog and the events behind its cursor, until it goes live, waits or is closed.
   * @throws HubError `log-unavailable`
   */
  async #catchUp(): Promise<void> {
    const run = ++this.#run
    this.#state = 'catching-up'
    this.#place = undefined
    const backlog = (this.#backlog ??= new Backlog(this.#source))
    for (let hasTurn = false; this.#isCatchingUp(run);) {
      if (backlog.takeMove()) this.send(this.#openBlock(backlog.resumeId(this.#sequence)))
      else if (backlog.isRead && this.#join(backlog)) return
      else if (hasTurn) {
        hasTurn = false
        await this.#sendHistory(backlog)
      } else {
        await this.#source.scheduler.next()
        hasTurn = true // the stream may have been moved meanwhile
      }
    }
  }

  #isCatchingUp(run: number): boolean {
    return this.#state === 'catching-up' && run === this.#run
  }

  /** Reads the next part of the backlog and sends it, unless the stream was closed or moved meanwhile. */
  async #sendHistory(backlog: Backlog): Promise<void> {
    const portion = await backlog.read(this.#feed, this.#sequence)
    if (this.#state !== 'catching-up' || backlog.hasMoved) return portion.discard()
    const { notice, chunk, events, position, lender } = portion.accept()
    if (notice) this.send(notice)
    if (position !== undefined) this.#sequence = position
    if (events > 0) this.send(chunk, events, undefined, lender)
  }

  /**
   * Goes live where the feed's frames reach back to its cursor.
   * @returns `false`: they do not, and the log has to be read
   */
  #join(backlog: Backlog): boolean {
    const { place: origin, sequence } = this.#origin
    const place = this.#sequence < sequence ? undefined : this.#feed.placeAfter(this.#sequence, origin)
    if (place === undefined) return false
    const carried = backlog.takeCarried(this.#feed)
    if (carried && !this.send(carried.chunk, carried.events)) return true
    if (backlog.takeAnnouncement()) {
      this.#place = place // where it goes live once its sink has drained
      if (!this.send(this.#source.encoder.live(this.#sequence))) return true
    }
    this.#goLive(place)
    return true
  }

  #openBlock(resumeId: string | undefined): Chunk {
    return this.#source.encoder.open(resumeId, this.#identity.id, this.#feed.selection.patterns, drawRetry())
  }

  #placeToCarryFrom(feed: Feed): number {
    const { place } = this.#origin
    return this.#place ?? feed.placeAfter(this.#sequence, place) ?? place
  }
}
