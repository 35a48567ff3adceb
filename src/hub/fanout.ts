/**
 * The feeds of all streams, and the sweep that sends new frames to every stream that is due: in one write per stream,
 * however many events have been published since the last one.
 */
import { Feed, type FeedReader } from './feed.js'
import type { Frame } from './frame.js'
import type { Latency } from './latency.js'
import { lengthOf } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import { TimeSlice } from '../event-loop/time-slice.js'
import type { Format } from '../wire/sse.js'
import { TopicIndex } from './topic-index.js'

/**
 * Frames are kept for streams that wait for their sockets while no more than about twice this many bytes have been
 * published since. A short stall then costs no read of the log, and loses no ephemeral event.
 */
const RECENT_BYTES = 1024 * 1024

/** A feed in the middle of being swept. */
interface Round {
  feed: Feed
  remaining: Iterator<FeedReader>
  /** The feed's end when the round began: every stream gets at least that far. */
  target: number
}

export class Fanout {
  readonly #feeds = new Map<string, Feed>()
  readonly #index = new TopicIndex<Feed>()
  #due: Feed[] = []
  #round: Round | undefined
  #scheduled = false
  /** Feeds that keep frames for a stream that waits. */
  readonly #holding = new Set<Feed>()
  /** Frames of an order before this are too old to be kept. */
  #recent = 0
  #generation = { start: 0, bytes: 0 }
  /** How many rounds there have been. */
  #rounds = 0
  /** How often subscribers have been counted. */
  #countings = 0
  /** Measures the way of events while the statistics are read. */
  latency: Latency | undefined

  /**
   * Counts a stream among the readers of a feed. Each `enter` is followed by one `leave`.
   * @param head the newest sequence: a new feed begins behind it
   * @param observes whether the stream counts as no subscriber
   * @returns the feed for this selection and format
   */
  enter(selection: Selection, format: Format, head: number, observes = false): Feed {
    const key = feedKey(selection, format)
    let feed = this.#feeds.get(key)
    if (!feed) {
      feed = new Feed(selection, format, head)
      this.#feeds.set(key, feed)
      for (const pattern of selection.patterns) this.#index.add(pattern, feed)
    }
    feed.enter(observes)
    return feed
  }

  /** A stream that is not live reads this feed no more. Without readers the feed is dropped. */
  leave(feed: Feed, observes = false): void {
    feed.leave(observes)
    if (feed.size > 0) return
    this.#holding.delete(feed)
    this.#feeds.delete(feedKey(feed.selection, feed.wire.format))
    for (const pattern of feed.selection.patterns) this.#index.delete(pattern, feed)
  }

  /** Gives a frame to every stream that asked for it, in the next sweep. */
  dispatch(frame: Frame): void {
    const { topic, type } = frame.event
    this.#index.each(topic, (feed) => {
      if (!feed.selection.hasType(type) || !feed.push(frame) || feed.due) return
      feed.due = true
      this.#due.push(feed)
    })
    this.#age(frame)
    if (this.#due.length > 0) this.#schedule()
  }

  /**
   * Measures the latency of the frames that have been dispatched just now.
   * @param since when it was published, on the monotonic clock
   */
  measure(since: number): void {
    const again = this.#round ? 2 : 0 // a feed in the middle of its round may be due once more, behind the others
    this.latency?.begin(since, this.#rounds + this.#due.length + again)
    if (!this.#round && this.#due.length === 0) this.latency?.passed(this.#rounds) // a sweep was faster
  }

  /** Returns how many subscribers an event of this topic and type goes to, without those that observe. */
  count(topic: string, type: string | undefined): number {
    return this.#count(topic, ({ selection }) => selection.hasType(type))
  }

  /** Returns how many subscribers a topic has, without those that observe. */
  subscribers(topic: string): number {
    return this.#count(topic, () => true)
  }

  /** Whether any stream has a topic among its topics and patterns. */
  isWatched(topic: string): boolean {
    let isWatched = false
    this.#index.each(topic, () => (isWatched = true))
    return isWatched
  }

  #count(topic: string, isMeant: (feed: Feed) => boolean): number {
    const round = ++this.#countings
    let count = 0
    this.#index.each(topic, (feed) => {
      if (feed.counting === round || !isMeant(feed)) return
      feed.counting = round
      count += feed.subscribers
    })
    return count
  }

  /** Releases old frames of feeds that get no new ones. */
  releaseOld(): void {
    for (const feed of this.#holding) if (!feed.due) this.#settle(feed)
  }

  /** Counts published bytes in two generations. When one is full, frames older than the one before it are too old. */
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
    for (let round = this.#nextRound(); round; round = this.#nextRound()) {
      for (let next = round.remaining.next(); !next.done; next = round.remaining.next()) {
        next.value.deliver(slice.now)
        if (slice.isOver) {
          this.#schedule()
          return
        }
      }
      this.#endRound(round)
    }
    this.latency?.passed(Infinity)
  }

  #nextRound(): Round | undefined {
    if (this.#round) return this.#round
    const feed = this.#due.shift()
    if (feed) this.#round = { feed, remaining: feed.live.values(), target: feed.end }
    return this.#round
  }

  /** Frames pushed during a round reached only streams visited after them, so the feed gets another round. */
  #endRound({ feed, target }: Round): void {
    this.#round = undefined
    this.#rounds++
    this.latency?.passed(this.#rounds)
    if (feed.end > target) {
      this.#due.push(feed)
      return
    }
    feed.due = false
    this.#settle(feed)
  }

  /** Releases the frames of a feed that no stream needs, and old ones. */
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
