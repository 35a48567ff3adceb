/**
 * Sends each event to the streams that select it. The event becomes a frame in the feeds of these streams. A sweep then
 * writes once to every stream that is due, for any number of events since the previous sweep.
 */
import { TimeSlice } from '../event-loop/time-slice.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import { lengthOf, type NewEvent, type StoredEvent } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import type { Encoder, Format } from '../wire/sse.js'
import { Feed, type FeedStream } from './feed.js'
import { HubFigures } from './figures.js'
import { Frame } from './frame.js'
import type { Latency, Timing } from './latency.js'
import { TopicIndex } from './topic-index.js'

/**
 * A feed with a waiting stream keeps frames until about one to two times this many bytes have been published after
 * them. A short stall then costs no read of the log, and loses no ephemeral event.
 */
const RECENT_BYTES = 1024 * 1024

/** The visit of a sweep to one feed. */
interface Round {
  feed: Feed
  remaining: Iterator<FeedStream>
  /** The feed's end when the round began. Every stream gets at least the frames up to it. */
  target: number
}

export class Fanout {
  readonly #encoder: Encoder
  readonly #node: string
  readonly #figures: HubFigures
  #head = 0
  /** The number of frames so far. */
  #frames = 0
  readonly #feeds = new Map<string, Feed>()
  readonly #index = new TopicIndex<Feed>()
  #due: Feed[] = []
  #round: Round | undefined
  #scheduled = false
  /** Feeds that keep frames for a waiting stream. */
  readonly #holding = new Set<Feed>()
  /** Frames with a smaller order are too old to keep. */
  #recent = 0
  #generation = { start: 0, bytes: 0 }
  /** The number of finished rounds. */
  #rounds = 0
  /** The number of times that subscribers were counted. */
  #countings = 0
  /** The number of feeds that get joins and leaves. */
  #presenceFeeds = 0
  /** Returns how the streams of a topic are paced: see `pace`. */
  paceOf: (topic: string) => number | undefined = () => undefined
  /** Returns the sequence of the event that has ended a finite topic; `undefined`: no such event is known. */
  endOf: (topic: string) => number | undefined = () => undefined
  /** Measures the latency of events; `undefined`: the hub has stopped. */
  latency: Latency | undefined

  /** @param node as `Cluster.node`: it makes the ids of ephemeral events unique in the epoch of the log */
  constructor(encoder: Encoder, node: string, figures = new HubFigures()) {
    this.#encoder = encoder
    this.#node = node
    this.#figures = figures
  }

  /** Sets the sequence before the first event, unless newer events have already been dispatched. */
  begin(head: number): void {
    this.#head = Math.max(this.#head, head)
  }

  /** Begins again with a log that has replaced the previous one. No stream may be open. */
  restart(head: number): void {
    this.#head = head
  }

  /** The sequence of the newest event that the feeds have been given. */
  get head(): number {
    return this.#head
  }

  /**
   * Adds a stream to a feed. Each `enter` is followed by one `leave`. A new feed begins after the head.
   * @param observes whether the stream does not count as a subscriber
   * @returns the feed of this selection and format
   */
  enter(selection: Selection, format: Format, observes = false): Feed {
    const key = feedKey(selection, format)
    let feed = this.#feeds.get(key)
    if (!feed) {
      feed = new Feed(selection, format, this.#head, this.#figures.batches)
      this.#feeds.set(key, feed)
      if (selection.presence) this.#presenceFeeds++
      if (selection.isSingleTopic) {
        feed.pace = this.paceOf(selection.topics[0]!)
        feed.endsAt = this.endOf(selection.topics[0]!)
      }
      for (const pattern of selection.patterns) this.#index.add(pattern, feed)
    }
    feed.enter(observes)
    return feed
  }

  /** Removes a stream that is not live from a feed. Drops the feed with its last stream. */
  leave(feed: Feed, observes = false): void {
    feed.leave(observes)
    if (feed.size > 0) return
    this.#holding.delete(feed)
    this.#feeds.delete(feedKey(feed.selection, feed.wire.format))
    if (feed.selection.presence) this.#presenceFeeds--
    for (const pattern of feed.selection.patterns) this.#index.delete(pattern, feed)
  }

  /** Dispatches an event of the log. The next sweep sends it. */
  dispatch(event: StoredEvent): void {
    this.#head = event.sequence
    this.#push(new Frame(this.#encoder, event, event.sequence, ++this.#frames, event.time))
  }

  /** Dispatches an ephemeral event. The next sweep sends it. */
  dispatchEphemeral(event: NewEvent): void {
    const order = ++this.#frames
    const id = `${this.#encoder.cursor(this.#head)}-ephemeral-${this.#node}-${order}`
    this.#push(new Frame(this.#encoder, event, undefined, order, wallNow(), id))
  }

  /** Dispatches an ephemeral event of the hub itself, with `data` as JSON. */
  tell(topic: string, data: object, type?: string): void {
    this.dispatchEphemeral({ topic, type, id: undefined, kind: 'json', payload: JSON.stringify(data) })
  }

  /** Adds a frame to every feed that selects its event. */
  #push(frame: Frame): void {
    const { topic, type } = frame.event
    this.#index.each(topic, (feed) => {
      if (feed.selection.hasType(type) && feed.push(frame) && feed.becomeDue()) this.#becomesDue(feed)
    })
    this.#age(frame)
    if (this.#due.length > 0) this.#schedule()
  }

  /**
   * Paces the streams that have only this topic: they get at most one batch of frames within `pace`.
   * @param pace in milliseconds; `undefined`: each frame is sent at once
   */
  pace(topic: string, pace: number | undefined): void {
    this.#index.each(topic, (feed) => {
      if (feed.selection.isSingleTopic) feed.pace = pace
    })
  }

  /** Forgets the end of a topic that has been created again. */
  renew(topic: string): void {
    this.#index.each(topic, (feed) => {
      if (feed.selection.isSingleTopic) feed.endsAt = undefined
    })
  }

  #becomesDue(feed: Feed): void {
    const wait = feed.pace === undefined ? 0 : feed.wait(monotonicNow())
    if (wait <= 0) this.#due.push(feed)
    else
      setTimeout(() => {
        this.#due.push(feed)
        this.#schedule()
      }, wait).unref()
  }

  /**
   * Measures the latency of the frames that have just been dispatched.
   * @param timing of the publish that dispatched the frames
   */
  measure(timing: Timing): void {
    const again = this.#round ? 2 : 0 // a feed in the middle of its round may be due again, after the others
    this.latency?.begin(timing, this.#rounds + this.#due.length + again)
    if (!this.#round && this.#due.length === 0) this.latency?.passed(this.#rounds) // a sweep has already sent them
  }

  /** Returns the number of subscribers that get an event of this topic and type, without observers. */
  count(topic: string, type: string | undefined): number {
    return this.#count(topic, ({ selection }) => selection.hasType(type))
  }

  /** Returns the number of subscribers of a topic, without observers. */
  subscribers(topic: string): number {
    return this.#count(topic, () => true)
  }

  /** Whether any stream has this topic, or a pattern that matches it. */
  isWatched(topic: string): boolean {
    let isWatched = false
    this.#index.each(topic, () => (isWatched = true))
    return isWatched
  }

  /** The number of distinct topics and patterns of all streams. */
  get topics(): number {
    return this.#index.size
  }

  /** The number of topics and patterns of all streams, counted for each stream. */
  get subscriptions(): number {
    let count = 0
    for (const { selection, size } of this.#feeds.values()) count += selection.patterns.length * size
    return count
  }

  /** Whether any stream gets joins and leaves. */
  get isPresenceWatched(): boolean {
    return this.#presenceFeeds > 0
  }

  #count(topic: string, isMeant: (feed: Feed) => boolean): number {
    const round = ++this.#countings
    let count = 0
    this.#index.each(topic, (feed) => {
      if (isMeant(feed)) count += feed.count(round)
    })
    return count
  }

  /** Releases old frames of feeds that get no new ones. */
  releaseOld(): void {
    for (const feed of this.#holding) if (!feed.isDue) this.#settle(feed)
  }

  /** Counts published bytes in generations. When a generation is full, the frames before it are too old. */
  #age(frame: Frame): void {
    this.#generation.bytes += lengthOf(frame.event)
    if (this.#generation.bytes < RECENT_BYTES) return
    this.#recent = this.#generation.start
    this.#generation = { start: frame.order + 1, bytes: 0 }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#sweep)
  }

  readonly #sweep = (): void => {
    this.#scheduled = false
    const slice = new TimeSlice()
    if (this.#sweepUntilOver(slice)) this.latency?.passed(Infinity)
    else this.#schedule()
    this.#figures.sweeps.observe((monotonicNow() - slice.now) / 1_000)
  }

  /** @returns whether every feed that was due has been visited */
  #sweepUntilOver(slice: TimeSlice): boolean {
    for (let round = this.#nextRound(); round; round = this.#nextRound()) {
      for (let next = round.remaining.next(); !next.done; next = round.remaining.next()) {
        next.value.deliver(slice.now)
        if (slice.isOver) return false
      }
      this.#endRound(round)
    }
    return true
  }

  #nextRound(): Round | undefined {
    if (this.#round) return this.#round
    const feed = this.#due.shift()
    if (feed) this.#round = { feed, remaining: feed.live.values(), target: feed.end }
    return this.#round
  }

  /** Ends a round. Frames pushed during it reached only streams visited after them, so the feed gets another round. */
  #endRound({ feed, target }: Round): void {
    this.#round = undefined
    this.#rounds++
    this.latency?.passed(this.#rounds)
    if (feed.end > target) {
      this.#due.push(feed)
      return
    }
    feed.swept()
    this.#settle(feed)
  }

  /** Releases the frames of a feed that no stream needs, and frames that are too old. */
  #settle(feed: Feed): void {
    if (feed.live.size === feed.size) {
      feed.releaseAll()
      this.#holding.delete(feed)
    } else {
      feed.releaseOlder(this.#recent)
      this.#holding.add(feed)
    }
  }
}

function feedKey(selection: Selection, format: Format): string {
  return `${format} ${selection.key}`
}
