/** A stream: a cursor into the log and a sink. No events are queued for it. */
import type { FairScheduler } from '../event-loop/fair-scheduler.js'
import { readPage } from '../log/page.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import type { Principal } from '../model/principal.js'
import { Chunk } from '../wire/chunk.js'
import type { Lender, Sink, SinkListener } from '../wire/sink.js'
import { closeBlock, drawRetry, type CloseReason, type Encoder } from '../wire/sse.js'
import { Backlog, type BacklogSource, type WantedReplay } from './backlog.js'
import { BATCH_BYTES, type Feed, type FeedStream } from './feed.js'
import type { Start } from './start.js'

export type StreamState = 'catching-up' | 'live' | 'waiting' | 'closed'

/** What a stream is sent after a stall: every event (`resume`), or the newest event of each topic (`latest`). */
export type SlowPolicy = 'resume' | 'latest'

/** The connection, address and subscriber of a stream. */
export interface StreamIdentity {
  /** The id of its connection. */
  readonly id: string
  /** The subscriber's address; `undefined`: there is none, as on a Unix socket. */
  readonly address: string | undefined
  /** Whether an admin observes: the stream is not present, and does not count as a subscriber of a topic. */
  readonly observes?: boolean
  /** The subscriber. A renewed token of the same subject replaces it. */
  readonly principal: Principal
}

/** The parts of the hub that every stream works with. */
export interface StreamSource extends BacklogSource {
  encoder: Encoder
  scheduler: FairScheduler
  /**
   * @param reason why the hub ended the stream; `ended`: its topic has ended; `undefined`: the peer has closed it
   */
  onEnd: (stream: Stream, reason: CloseReason | 'ended' | undefined) => void
  /** Receives the error if the history of a stream cannot be sent. */
  onError: (err: unknown, message: string) => void
}

export interface StreamOptions {
  identity: StreamIdentity
  feed: Feed
  /** The newest sequence that the feed may have been given. */
  head: number
  start: Start
  sink: Sink
  policy?: SlowPolicy | undefined
}

/** How long a sink may be full during catch-up before the stream counts as stalled, in milliseconds. */
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
 * | `drained` | waiting | live, catching-up | goes live if the feed still holds its offset, else reads the log |
 * | `move` | live | catching-up | reads other topics from the same cursor |
 * | `move` | catching-up, waiting | unchanged | the same |
 * | `end` | any | closed | sends the reason as the last block |
 * | – | catching-up, live | closed | the topic has ended, and the end was sent |
 * | `foundEnd` | live | catching-up | the topic had ended before the stream moved to it: sends the end |
 * | `closed` | any | closed | the peer has gone |
 */
export class Stream implements SinkListener, FeedStream {
  // The fields that each write touches come first: with a thousand streams every cache line is a miss.
  #feed: Feed
  /** The cursor: the sink has been handed every selected event up to this sequence. */
  #sequence: number
  /** The offset of the next frame in the feed; `undefined`: the stream reads the log. */
  #offset: number | undefined
  #sentEvents = 0
  #sentBytes = 0
  readonly #sink: Sink
  /** On the monotonic clock. */
  #lastWrite: number
  #state: StreamState = 'catching-up'

  readonly #source: StreamSource
  readonly #policy: SlowPolicy
  #identity: StreamIdentity
  /** The feed's end and the sequence when the stream joined the feed. */
  #origin: { offset: number; sequence: number }
  /** The blocks and replays before the stream goes live; `undefined`: only the events after the cursor. */
  #backlog: Backlog | undefined
  /** The number of the latest catch-up. An earlier one that still runs stops. */
  #run = 0
  /** Since when the sink has been full, on the monotonic clock; `undefined`: the sink has room. */
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
    this.#origin = { offset: feed.end, sequence: head }
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

  /** Whether the sink is full, or was when the stream was closed. */
  get isFull(): boolean {
    return this.#fullSince !== undefined
  }

  /** The cursor, as a sequence. */
  get sequence(): number {
    return this.#sequence
  }

  /** The number of events that the sink has been given. */
  get sentEvents(): number {
    return this.#sentEvents
  }

  /** The number of bytes that the sink has been given. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** When the sink was last given bytes, on the monotonic clock. */
  get lastWrite(): number {
    return this.#lastWrite
  }

  /** The number of replays that are left. */
  get pendingReplays(): number {
    return this.#backlog?.replays ?? 0
  }

  /** The maximum number of events of the log that the stream has not been sent. */
  lag(head: number): number {
    const isUpToDate = (this.#state === 'live' || this.#state === 'closed') && this.#offset === this.#feed.end
    return isUpToDate ? 0 : head - this.#sequence
  }

  /** Sends the first block, then the backlog, then new events. */
  open(): void {
    if (this.send(this.#openBlock(this.#backlog?.resumeId(this.#sequence)))) this.#resume()
  }

  /** Sends the feed's frames while the stream is live. */
  deliver(now?: number): void {
    if (this.#state !== 'live') return
    const feed = this.#feed
    while (this.#offset! < feed.end) {
      const batch = feed.batch(this.#offset!)
      const before = this.#sequence
      this.#offset = batch.to
      if (batch.sequence !== undefined) this.#sequence = batch.sequence
      const hasRoom = this.send(batch.chunk, batch.events, now)
      if (feed.endsAt !== undefined && this.#endsAfter(before, feed.endsAt)) return
      if (!hasRoom) return
    }
  }

  /** Sends a heartbeat. A live stream without pending frames has been sent everything up to the head. */
  beat(head: number): void {
    this.#sequence = head
    this.send(this.#source.encoder.heartbeat(head))
  }

  /**
   * Hands a chunk to the sink.
   * @param now on the monotonic clock: a sweep reads the clock once for many streams
   * @param lender as for `Sink.write`
   * @returns `false`: the sink is full, and the stream waits
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

  /** Counts the stream as a subscriber from now on. */
  stopObserving(): void {
    this.#identity = { ...this.#identity, observes: false }
    this.#feed.stopObserving()
  }

  /**
   * Moves the stream to another feed, at the same cursor. An open block announces the move. Call `deliver` before: a
   * live stream counts as up to date.
   * @param head the newest sequence that the feed may have been given
   * @param replay retained events before the cursor that come first
   * @param mark the trim mark: earlier trims need no gap notice in the replay
   */
  move(feed: Feed, head: number, replay: WantedReplay | undefined, mark: number): void {
    const before = this.#feed
    const wasLive = this.#state === 'live'
    const backlog = (this.#backlog ??= new Backlog(this.#source))
    if (wasLive)
      this.#sequence = head // `deliver` has sent everything
    else backlog.carry(before.ephemeralSince(this.#offsetToCarryFrom(before)))
    backlog.move(before.selection, feed.selection)
    if (replay) backlog.addReplay(replay, this.#sequence, mark)
    before.live.delete(this)
    this.#feed = feed
    this.#offset = undefined
    this.#origin = { offset: feed.end, sequence: head }
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

  /**
   * Ends the stream if it has just been sent the end of its topic. No reason follows the end.
   * @param before the cursor before the latest events
   */
  #endsAfter(before: number, end: number): boolean {
    if (before >= end || this.#sequence < end || this.#state === 'closed') return false
    this.#close()
    this.#sink.end(Chunk.NOTHING)
    this.#source.onEnd(this, 'ended')
    return true
  }

  /** Ends a live stream that has moved to a topic which had ended before. In any other state it ends by itself. */
  foundEnd(): void {
    if (this.#state !== 'live' || !this.#isBehindEnd) return
    this.#feed.live.delete(this)
    this.#resume()
  }

  /** Whether the topic had ended before the cursor, as only a stream can find that has moved. */
  get #isBehindEnd(): boolean {
    const { endsAt } = this.#feed
    return endsAt !== undefined && this.#sequence >= endsAt
  }

  /** Sends the end of the topic, which lies before the cursor, and ends the stream. */
  async #sendEnd(run: number, backlog: Backlog): Promise<void> {
    const { log, encoder } = this.#source
    const { endsAt, selection, wire } = this.#feed
    const page = await readPage(log, selection, { after: endsAt! - 1, until: endsAt!, events: 1, bytes: BATCH_BYTES })
    if (!this.#isCatchingUp(run) || backlog.hasMoved) return
    const carried = backlog.takeCarried(this.#feed)
    if (carried) this.send(carried.chunk, carried.events)
    const [end] = page.events // none if the topic was removed meanwhile
    const chunk = end ? encoder.end(end, wire, backlog.resumeId(this.#sequence)) : Chunk.NOTHING
    this.#sentEvents += page.events.length
    this.#sentBytes += chunk.length
    this.#close()
    this.#sink.end(chunk)
    this.#source.onEnd(this, 'ended')
  }

  /** As `SinkListener.drained`. */
  drained(): void {
    const fullFor = monotonicNow() - this.#fullSince!
    this.#fullSince = undefined
    const offset = this.#offset
    const isHeld = offset !== undefined && this.#feed.holds(offset)
    // A large write fills any socket for moments, and one of HTTP/2 always. A stalled sink stays full for longer, or
    // the feed has dropped frames that a live stream still needs.
    const hasStalled = fullFor > STALL || (offset !== undefined && !isHeld)
    const skips = this.#policy === 'latest' && hasStalled
    if (skips) this.#skip()
    // catch-up fills a socket with each batch
    if (!this.isClosed && (offset !== undefined || hasStalled))
      this.#source.figures.stalls[skips ? 'skipped' : isHeld ? 'recovered' : 'resumed']++
    if (this.#state !== 'waiting') return
    if (isHeld && !this.#backlog?.skips && !this.#isBehindEnd) this.#goLive(offset)
    else this.#resume()
  }

  /** As `SinkListener.stalled`. A stalled stream with `latest` costs nothing, so it stays open. */
  stalled(): void {
    if (this.#policy !== 'resume') return
    if (this.#state !== 'closed') this.#source.figures.stalls.ended++
    this.end('slow')
  }

  /** As `SinkListener.closed`. */
  closed(): void {
    if (this.#state === 'closed') return
    if (this.isFull) this.#source.figures.stalls.gone++
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
    if (this.#state !== 'closed') this.#state = 'waiting'
  }

  #goLive(offset: number): void {
    this.#state = 'live'
    this.#offset = offset
    this.#backlog = undefined
    this.#feed.live.add(this)
    this.deliver()
  }

  /** Sends only the newest event of each topic, up to the head at the next read. */
  #skip(): void {
    ;(this.#backlog ??= new Backlog(this.#source)).skip()
  }

  #resume(): void {
    if (this.#state === 'closed') return
    this.#catchUp().catch((err: unknown) => {
      if (this.isClosed) return // a stopping hub closes its streams, and then the log
      this.#source.onError(err, 'a stream could not be served from the log')
      this.end('busy')
    })
  }

  /**
   * Sends the backlog and the events after the cursor, until the stream goes live, waits or is closed.
   * @throws HubError `log-unavailable`
   */
  async #catchUp(): Promise<void> {
    const run = ++this.#run
    this.#state = 'catching-up'
    this.#offset = undefined
    const backlog = (this.#backlog ??= new Backlog(this.#source))
    for (let hasTurn = false; this.#isCatchingUp(run);) {
      if (backlog.takeMove()) this.send(this.#openBlock(backlog.resumeId(this.#sequence)))
      else if (backlog.isRead && this.#isBehindEnd) await this.#sendEnd(run, backlog)
      else if (backlog.isRead && this.#join(backlog)) return
      else if (hasTurn) {
        hasTurn = false
        await this.#sendHistory(backlog)
      } else {
        await this.#source.scheduler.next()
        hasTurn = true // the stream may have moved meanwhile
      }
    }
  }

  #isCatchingUp(run: number): boolean {
    return this.#state === 'catching-up' && run === this.#run
  }

  /** Reads the next part of the backlog and sends it, unless the stream was closed or moved during the read. */
  async #sendHistory(backlog: Backlog): Promise<void> {
    const portion = await backlog.read(this.#feed, this.#sequence)
    if (this.#state !== 'catching-up' || backlog.hasMoved) return portion.discard()
    const { notice, chunk, events, position, lender } = portion.accept()
    if (notice) this.send(notice)
    const before = this.#sequence
    if (position !== undefined) this.#sequence = position
    if (events > 0) this.send(chunk, events, undefined, lender)
    const { endsAt } = this.#feed
    if (endsAt !== undefined) this.#endsAfter(before, endsAt)
  }

  /**
   * Goes live if the feed's frames reach back to the cursor.
   * @returns `false`: they do not, and the log has to be read
   */
  #join(backlog: Backlog): boolean {
    const { offset: origin, sequence } = this.#origin
    const offset = this.#sequence < sequence ? undefined : this.#feed.offsetAfter(this.#sequence, origin)
    if (offset === undefined) return false
    const carried = backlog.takeCarried(this.#feed)
    if (carried && !this.send(carried.chunk, carried.events)) return true
    if (backlog.takeAnnouncement()) {
      this.#offset = offset // the stream goes live there once its sink has drained
      if (!this.send(this.#source.encoder.live(this.#sequence))) return true
    }
    this.#goLive(offset)
    return true
  }

  #openBlock(resumeId: string | undefined): Chunk {
    return this.#source.encoder.open(resumeId, this.#identity.id, this.#feed.selection.patterns, drawRetry())
  }

  #offsetToCarryFrom(feed: Feed): number {
    const { offset } = this.#origin
    return this.#offset ?? feed.offsetAfter(this.#sequence, offset) ?? offset
  }
}
