/**
 * Tail feeds: the event streams at the same offset of a finite topic, which have been sent everything and wait for
 * more. They share one wait of the hub, one read and one encoding, and a message costs each of them one write.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { TimeSlice } from '../../event-loop/time-slice.js'
import type { FiniteTopic, FiniteTopics } from '../../hub/finite/finite-topic.js'
import { monotonicNow } from '../../model/clock.js'
import { nextCursor } from './collapsing-cursor.js'
import type { SharedPage, SharedPages } from './shared-pages.js'

/** An event stream as its tail feed sees it. */
export interface TailStream {
  /** The feed of the stream. Only the feed sets it. */
  tail: TailFeed | undefined
  /**
   * Sends a page.
   * @param cursor the current cursor, as from `nextCursor`
   * @param now on the monotonic clock
   * @returns `false` if the stream leaves the feed, because its sink is full or it has ended
   */
  deliver(page: SharedPage, cursor: number, now: number): boolean
  /** The topic was deleted, and created again. */
  replaced(): void
  /** The topic cannot be read: it is gone, or the log is unavailable. */
  failed(err: unknown): void
}

export class TailFeeds {
  readonly #feeds = new Map<string, TailFeed>()
  readonly #source: TailSource

  /** @param heartbeat the time without messages after which the streams get a control event, in milliseconds */
  constructor(finite: Pick<FiniteTopics, 'wait'>, pages: SharedPages, heartbeat: number) {
    this.#source = {
      finite,
      pages,
      heartbeat,
      settle: (feed) => this.#settle(feed),
      forget: (feed) => this.#forget(feed),
    }
  }

  /** Adds a stream, which has been sent a page and everything before it, to the feed at the end of that page. */
  join(page: SharedPage, stream: TailStream): void {
    const key = keyOf(page)
    let feed = this.#feeds.get(key)
    if (!feed) {
      feed = new TailFeed(this.#source, page)
      this.#feeds.set(key, feed)
      feed.add(stream)
      void feed.run()
    } else feed.add(stream)
  }

  /** Gives a feed the key of its offset. If another feed is there, the streams join it. */
  #settle(feed: TailFeed): void {
    const other = this.#feeds.get(feed.key)
    if (other && other !== feed) feed.moveTo(other)
    else if (feed.size > 0) this.#feeds.set(feed.key, feed)
  }

  #forget(feed: TailFeed): void {
    if (this.#feeds.get(feed.key) === feed) this.#feeds.delete(feed.key)
  }
}

interface TailSource {
  readonly finite: Pick<FiniteTopics, 'wait'>
  readonly pages: SharedPages
  readonly heartbeat: number
  readonly settle: (feed: TailFeed) => void
  readonly forget: (feed: TailFeed) => void
}

export class TailFeed {
  readonly #source: TailSource
  readonly #streams = new Set<TailStream>()
  #page: SharedPage
  #lastWrite = monotonicNow()
  /** Ends the wait that is under way. */
  #wait: AbortController | undefined

  constructor(source: TailSource, page: SharedPage) {
    this.#source = source
    this.#page = page
  }

  get size(): number {
    return this.#streams.size
  }

  /** Identifies the offset. */
  get key(): string {
    return keyOf(this.#page)
  }

  add(stream: TailStream): void {
    this.#streams.add(stream)
    stream.tail = this
  }

  delete(stream: TailStream): void {
    if (!this.#streams.delete(stream)) return
    stream.tail = undefined
    if (this.#streams.size > 0) return
    this.#source.forget(this)
    this.#wait?.abort()
  }

  /** Moves all streams to another feed at the same offset. */
  moveTo(other: TailFeed): void {
    for (const stream of this.#streams) other.add(stream)
    this.#streams.clear()
    other.#lastWrite = Math.min(other.#lastWrite, this.#lastWrite)
  }

  /** Sends what is appended, as long as the feed has streams. */
  async run(): Promise<void> {
    try {
      while (this.#streams.size > 0) {
        await this.#waitForMore()
        if (this.#streams.size > 0) await this.#step()
      }
    } catch (err) {
      this.#drop((stream) => stream.failed(err))
    }
  }

  async #waitForMore(): Promise<void> {
    const { topic } = this.#page.page
    const controller = (this.#wait = new AbortController())
    const timer = setTimeout(() => controller.abort(), this.#waitingTime(topic)).unref()
    try {
      await this.#source.finite.wait(topic.topic, this.#page.read, controller.signal)
    } catch {
      // the read that follows gets an error too
    } finally {
      clearTimeout(timer)
    }
  }

  /** The time until the next read. A read at least twice within `ttl` keeps the topic from expiring. */
  #waitingTime({ ttl = Infinity }: FiniteTopic): number {
    return Math.max(1, Math.min(this.#lastWrite + this.#source.heartbeat - monotonicNow(), ttl / 2))
  }

  async #step(): Promise<void> {
    const { pages, heartbeat, settle, forget } = this.#source
    const { topic, next } = this.#page.page
    const shared = await pages.read(topic.topic, next)
    const { page } = shared
    if (page.topic.incarnation !== topic.incarnation) return this.#drop((stream) => stream.replaced())
    const now = monotonicNow()
    const isQuiet = now - this.#lastWrite >= heartbeat
    forget(this) // a stream that joins at this offset from now on has not been sent the page
    this.#page = shared
    if (page.messages.length > 0 || isQuiet || shared.isEnd) {
      this.#lastWrite = now
      await this.#deliver(shared, now)
    }
    if (page.messages.length === 0) await nextTurn() // a wait that ends at once must not occupy the event loop
    settle(this)
  }

  /** Removes every stream, and tells it why. */
  #drop(tell: (stream: TailStream) => void): void {
    for (const stream of [...this.#streams]) {
      this.delete(stream)
      tell(stream)
    }
  }

  /** Sends a page to every stream, in slices. */
  async #deliver(shared: SharedPage, now: number): Promise<void> {
    const cursor = nextCursor(undefined)
    let slice = new TimeSlice()
    for (const stream of [...this.#streams]) {
      if (stream.tail !== this) continue // it has left meanwhile
      if (!stream.deliver(shared, cursor, now)) this.delete(stream)
      if (!slice.isOver) continue
      await nextTurn()
      slice = new TimeSlice()
    }
  }
}

/** Identifies the topic and the offsets after a page. */
function keyOf({ page: { topic, next }, read }: SharedPage): string {
  return `${topic.topic} ${topic.incarnation} ${next} ${read}`
}
