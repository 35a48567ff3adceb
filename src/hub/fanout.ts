/**
 * Who is subscribed to what, and the sweep that sends what is new to everyone who is due: in one write per subscriber,
 * however much has been published since the last one.
 */
import { Feed } from './feed.js'
import type { Frame } from './frame.js'
import type { Latency } from './latency.js'
import { lengthOf } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import { TimeSlice } from '../event-loop/time-slice.js'
import type { Format } from '../wire/sse.js'
import type { Subscriber, SubscriberInfo } from './subscriber.js'
import { TopicIndex } from './topic-index.js'

/**
 * Frames are kept for those who wait for their sockets while no more than about twice this many bytes have been
 * published since: a short stall then costs no read of the log, and loses no ephemeral event.
 */
const RECENT_BYTES = 1024 * 1024

/** A feed in the middle of being swept. */
interface Round {
  feed: Feed<Subscriber>
  remaining: Iterator<Subscriber>
  /** The feed's end when the round began: everybody gets at least that far. */
  target: number
}

export class Fanout {
  readonly #feeds = new Map<string, Feed<Subscriber>>()
  readonly #index = new TopicIndex<Feed<Subscriber>>()
  #due: Feed<Subscriber>[] = []
  #round: Round | undefined
  #scheduled = false
  /** Feeds that keep frames for somebody who waits. */
  readonly #holding = new Set<Feed<Subscriber>>()
  /** Frames of an order before this are too old to be kept. */
  #recent = 0
  #generation = { start: 0, bytes: 0 }
  /** How many rounds there have been. */
  #rounds = 0
  /** How often subscribers have been counted. */
  #countings = 0
  /** Measures the way of events, while somebody wants to know. */
  latency: Latency | undefined

  /** The feed for a selection in a format; made when nobody has asked for it yet. */
  feed(selection: Selection, format: Format, head: number): Feed<Subscriber> {
    const key = feedKey(selection, format)
    let feed = this.#feeds.get(key)
    if (!feed) {
      feed = new Feed<Subscriber>(selection, format, head)
      this.#feeds.set(key, feed)
      for (const pattern of selection.patterns) this.#index.add(pattern, feed)
    }
    return feed
  }

  /** Counts a subscriber among those of a feed, from which it reads from now on. */
  enter(feed: Feed<Subscriber>, { observes }: SubscriberInfo): void {
    feed.size++
    if (observes) feed.observers++
  }

  /** Takes a subscriber off its feed. */
  leave(subscriber: Subscriber): void {
    const { feed, info } = subscriber
    feed.live.delete(subscriber)
    feed.size--
    if (info.observes) feed.observers--
    if (feed.size > 0) return
    this.#holding.delete(feed)
    this.#feeds.delete(feedKey(feed.selection, feed.wire.format))
    for (const pattern of feed.selection.patterns) this.#index.delete(pattern, feed)
  }

  /** Makes a subscriber live that has read everything before `place`, which its feed holds. */
  join(subscriber: Subscriber, place: number): void {
    subscriber.state = 'live'
    subscriber.place = place
    subscriber.feed.live.add(subscriber)
    this.#send(subscriber)
  }

  /** Sends a live subscriber what its feed holds for it, without waiting for the sweep. */
  flush(subscriber: Subscriber): void {
    if (subscriber.state === 'live') this.#send(subscriber)
  }

  /** Gives a frame to everyone who asked for it, in the next sweep. */
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
   * Measures how long it takes what has been dispatched just now.
   * @param since when it was published, on the monotonic clock
   */
  measure(since: number): void {
    const again = this.#round ? 2 : 0 // a feed in the middle of its round may be due once more, behind the others
    this.latency?.begin(since, this.#rounds + this.#due.length + again)
    if (!this.#round && this.#due.length === 0) this.latency?.passed(this.#rounds) // a sweep was faster
  }

  /** How many subscribers an event of this topic and type goes to. Those that observe do not count. */
  count(topic: string, type: string | undefined): number {
    return this.#count(topic, ({ selection }) => selection.hasType(type))
  }

  /** How many subscribers a topic has, whatever types they want. Those that observe do not count. */
  subscribers(topic: string): number {
    return this.#count(topic, () => true)
  }

  /** Whether any stream has a topic among its topics and patterns. */
  isWatched(topic: string): boolean {
    let isWatched = false
    this.#index.each(topic, () => (isWatched = true))
    return isWatched
  }

  #count(topic: string, isMeant: (feed: Feed<Subscriber>) => boolean): number {
    const round = ++this.#countings
    let count = 0
    this.#index.each(topic, (feed) => {
      if (feed.counting === round || !isMeant(feed)) return
      feed.counting = round
      count += feed.size - feed.observers
    })
    return count
  }

  /** Lets go of old frames in feeds that get no new ones. */
  releaseOld(): void {
    for (const feed of this.#holding) if (!feed.due) this.#settle(feed)
  }

  /** Counts what has been published in two generations: when one is full, what is older than the one before it goes. */
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
        this.#send(next.value, slice.now)
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

  /** What came while the round was going on has reached only those who came late in it: then there is another. */
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

  /** Keeps of a feed's frames only what somebody who is not live may still want, and not for long. */
  #settle(feed: Feed<Subscriber>): void {
    if (feed.live.size === feed.size) {
      feed.releaseAll()
      this.#holding.delete(feed)
    } else {
      feed.releaseOlder(this.#recent)
      this.#holding.add(feed)
    }
  }

  #send(subscriber: Subscriber, now?: number): void {
    const { feed } = subscriber
    while (subscriber.place !== undefined && subscriber.place < feed.end) {
      const batch = feed.batch(subscriber.place)
      subscriber.place = batch.to
      if (batch.sequence !== undefined) subscriber.sequence = batch.sequence
      if (!subscriber.send(batch.chunk, batch.events, now)) return
    }
  }
}

function feedKey(selection: Selection, format: Format): string {
  return `${format} ${selection.key}`
}
