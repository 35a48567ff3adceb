/** A subscriber is a cursor into the log and a sink. Nothing is queued for it. */
import type { Chunk } from '../wire/chunk.js'
import type { Lender, Sink, SinkListener } from '../wire/sink.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Frame } from './frame.js'
import { lengthOf } from '../model/event.js'
import type { Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import { closeBlock, drawRetry, type CloseReason, type GapReason } from '../wire/sse.js'

/**
 * - `catching-up`: is being sent what the log holds behind its cursor
 * - `live`: is sent what its feed gets
 * - `waiting`: its sink is full
 * - `closed`: no longer there
 */
export type SubscriberState = 'catching-up' | 'live' | 'waiting' | 'closed'

/**
 * What a reader that stalls gets once it reads again: everything (`resume`), or of each topic the newest event
 * (`latest`).
 */
export type SlowPolicy = 'resume' | 'latest'

/** What a subscriber is missing. */
export interface KnownGap {
  reason: GapReason
  /** The cursor that the subscriber gave. */
  after: string
}

/**
 * The newest retained events of patterns that a stream was given: sent without ids, since they lie before its cursor.
 */
export interface Replay {
  /** The patterns that it was asked with: `count` is over all of them. */
  wanted: Selection
  /** The same, less those that the stream has dropped since. */
  selection: Selection
  /** The most events that it brings. */
  count: number
  /** The cursor of the stream when it was asked for, as a sequence: the replay ends there. */
  until: number
  /** The sequence up to which it has been sent; `undefined`: its first event has not been located. */
  after: number | undefined
  /**
   * Trims up to this value of `EventLog.trims` need no gap notice: they came before the replay was asked for, or were
   * reported.
   */
  trims: number
}

/** What a subscriber asks of the hub when its sink has something to tell. */
export interface SubscriberOwner {
  resume(subscriber: Subscriber): void
  /** @param reason why the hub ended it; `undefined`: the peer has gone */
  leave(subscriber: Subscriber, reason?: CloseReason): void
}

/** What is known of a subscriber beside what it reads. */
export interface SubscriberInfo {
  /** Its connection's id. */
  id: string
  /** The address that it came from; `undefined`: it has none, as on a Unix socket, or its peer has gone. */
  address: string | undefined
  /** Whether it looks on, as an admin may: it is neither present nor counted among a topic's subscribers. */
  observes?: boolean
  /** Whose it is; another token of the same subject may take the place of the one that it was opened with. */
  principal: Principal
}

/** What a subscriber begins with. */
export interface SubscriberOptions {
  info: SubscriberInfo
  feed: Feed<Subscriber>
  /** Everything up to here it has, or does not want. */
  sequence: number
  /** The newest sequence that its feed may have been given. */
  head: number
  sink: Sink
  owner: SubscriberOwner
  policy?: SlowPolicy | undefined
}

/** After how long without room somebody who is catching up counts as having stalled, in milliseconds. */
const STALL = 1_000

export class Subscriber implements SinkListener {
  // What each write touches stands together at the beginning: with a thousand subscribers every line of it comes from
  // afar.
  feed: Feed<Subscriber>
  /** Its cursor: everything that it asked for, up to this sequence, has been handed to its sink. */
  sequence: number
  /** The place in its feed from which it reads on; `undefined`: it reads the log. */
  place: number | undefined
  /** How many events have been handed to its sink, and how many bytes. */
  sentEvents = 0
  sentBytes = 0
  readonly #sink: Sink
  /** When something was last sent to it, on the monotonic clock. */
  lastWrite: number

  readonly info: SubscriberInfo
  /** Where its feed, and the log, ended when it came. */
  origin: { place: number; sequence: number }
  state: SubscriberState = 'catching-up'
  /** What it gets when its sink was full while it was live. */
  readonly policy: SlowPolicy
  /** What is missing, and has not been told yet. */
  gap: KnownGap | undefined
  /** It has been given other topics, and has not been told yet. */
  hasMoved = false
  /** The replays of patterns that it was given later, and that have not been sent. The first is sent first. */
  replays: Replay[] = []
  /** Ephemeral events of topics that it has kept, from feeds that it left before they could be sent. */
  carried: Frame[] = []
  /**
   * It gets only the newest event of each topic: of what lies up to `until`, or up to the head when it stopped reading.
   * `told`: it needs no gap notice of what is skipped, or has had one.
   */
  stall: { told: boolean; until?: number } | undefined
  /**
   * What had been trimmed when `EventLog.trims` was this it did not ask for, since it began with a replay, or has been
   * told.
   */
  knownTrims: number | undefined
  /** Whether it is told once that it is live: after a replay or a resume. */
  announceLive = false
  /** When the stream was opened, on the monotonic clock. */
  readonly openedAt: number
  /** When the stream was opened, on the wall clock: a timestamp for people. */
  readonly since = wallNow()
  /** Since when its sink has been full, on the monotonic clock. */
  #fullSince = 0
  readonly #owner: SubscriberOwner

  constructor({ info, feed, sequence, head, sink, owner, policy = 'resume' }: SubscriberOptions) {
    this.info = info
    this.feed = feed
    this.sequence = sequence
    this.origin = { place: feed.end, sequence: head }
    this.policy = policy
    this.openedAt = this.lastWrite = monotonicNow()
    this.#sink = sink
    this.#owner = owner
    sink.listener = this
  }

  /**
   * Reads another feed from now on, from the same cursor. Replays of patterns that the feed does not have are dropped.
   */
  moveTo(feed: Feed<Subscriber>, head: number): void {
    if (this.state !== 'live')
      this.#carry(
        this.feed.ephemeralSince(
          this.place ?? this.feed.placeAfter(this.sequence, this.origin.place) ?? this.origin.place,
        ),
      )
    this.replays = this.replays.flatMap((replay) => {
      const selection = replay.selection.of(
        replay.selection.patterns.filter((pattern) => feed.selection.patterns.includes(pattern)),
      )
      return selection.patterns.length > 0 ? [{ ...replay, selection }] : []
    })
    if (feed.selection.patterns.some((pattern) => !this.feed.selection.patterns.includes(pattern))) {
      // Of the topics that it is given now, it has asked for everything behind its cursor.
      if (this.stall?.until !== undefined) this.stall.told = false
      this.knownTrims = undefined
    }
    this.feed = feed
    this.place = undefined
    this.origin = { place: feed.end, sequence: head }
    this.hasMoved = true
  }

  /** Whoever stops reading keeps no more than a batch of them: the newest. */
  #carry(frames: readonly Frame[]): void {
    this.carried.push(...frames)
    let bytes = 0
    const first = this.carried.findLastIndex(({ event }) => (bytes += lengthOf(event)) > BATCH_BYTES)
    this.carried.splice(0, first + 1)
  }

  get isClosed(): boolean {
    return this.state === 'closed'
  }

  /** Whether its sink takes no more at the moment, or did not when it was closed. */
  isFull = false

  /**
   * Sends a chunk. `false`: its sink is full now, and it waits.
   * @param now on the monotonic clock: a sweep looks at the clock once for many subscribers
   * @param lender as for `Sink.write`
   */
  send(chunk: Chunk, events = 0, now = monotonicNow(), lender?: Lender): boolean {
    this.sentEvents += events
    this.sentBytes += chunk.length
    this.lastWrite = now
    if (this.#sink.write(chunk, lender)) return true
    this.isFull = true
    this.feed.live.delete(this)
    if (this.state === 'live' && this.policy === 'latest') this.stall ??= { told: false }
    this.#fullSince = now
    if (!this.isClosed) this.state = 'waiting'
    return false
  }

  /** Ends the stream, with the reason as its last block. */
  end(reason: CloseReason): void {
    if (this.isClosed) return
    this.state = 'closed'
    this.#sink.end(closeBlock(reason, drawRetry(reason === 'busy')))
    this.#owner.leave(this, reason)
  }

  drained(): void {
    this.isFull = false
    // what comes from the log fills any socket for moments; who takes nothing for longer has stopped reading
    if (this.policy === 'latest' && monotonicNow() - this.#fullSince > STALL) this.stall ??= { told: false }
    if (this.state === 'waiting') this.#owner.resume(this)
  }

  /** Whoever wants only what counts now may take any time: nothing is kept for them meanwhile. */
  stalled(): void {
    if (this.policy === 'resume') this.end('slow')
  }

  closed(): void {
    if (this.isClosed) return
    this.state = 'closed'
    this.#owner.leave(this)
  }
}
