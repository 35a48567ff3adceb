/**
 * Brings a subscriber from its cursor to the present: reads the log in batches until the feed's frames reach back to
 * where it stands. The batch from one place is read and encoded once for all who stand there.
 */
import { setImmediate } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { EventLog } from '../log/log.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Fanout } from './fanout.js'
import { Slice } from './slice.js'
import { drawRetry, type Encoder } from './sse.js'
import type { KnownGap, Replay, Subscriber } from './subscriber.js'

/** The most events that are read at once. */
const BATCH_EVENTS = 1_000
/** How many bytes of batches are kept for others who come to the same place. */
const SHARED_BYTES = 2 * 1024 * 1024

/** What the log holds behind a place. */
interface PastBatch {
  bytes: Buffer
  events: number
  /** The sequence up to which it is complete. */
  position: number
  /** Something in between has been trimmed. */
  gap: boolean
  /** The sequence of its first event. */
  oldest: number | undefined
  /** What `EventLog.trims` was when it was read: when it has changed, some of this may be gone, and not told. */
  trims: number
}

export class CatchUp {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #head: () => number
  readonly #shared = new LRUCache<string, PastBatch>({ maxSize: SHARED_BYTES, sizeCalculation: ({ bytes }) => bytes.length + 200 })
  readonly #reading = new Map<string, Promise<PastBatch>>()
  readonly #feedIds = new WeakMap<Feed, number>()
  #lastFeedId = 0
  #slice = new Slice(1)

  /** @param head the newest sequence that has been given to the fanout */
  constructor(log: EventLog, encoder: Encoder, fanout: Fanout, head: () => number) {
    this.#log = log
    this.#encoder = encoder
    this.#fanout = fanout
    this.#head = head
  }

  /**
   * Sends what the subscriber lacks until it is live, waits for its sink, or is closed.
   * @throws HubError `log-unavailable`
   */
  async run(subscriber: Subscriber): Promise<void> {
    subscriber.state = 'catching-up'
    subscriber.place = undefined
    while (await this.#step(subscriber));
  }

  /** @returns whether there is more to do now */
  async #step(subscriber: Subscriber): Promise<boolean> {
    if (subscriber.hasMoved) return this.#tellTopics(subscriber)
    if (subscriber.replays[0]) return this.#replay(subscriber, subscriber.replays[0])
    if (subscriber.stall && !subscriber.gap) return this.#skip(subscriber, subscriber.stall)
    if (!subscriber.gap && this.#join(subscriber)) return false
    return this.#readOn(subscriber)
  }

  /** Sends the next batch of what the log holds. */
  async #readOn(subscriber: Subscriber): Promise<boolean> {
    const { feed } = subscriber
    const batch = await this.#past(feed, subscriber.sequence)
    await this.#breathe()
    if (subscriber.isClosed) return false
    if (subscriber.feed !== feed) return true // it has been given other topics meanwhile
    const missing = subscriber.gap ?? this.#missing(subscriber, batch)
    subscriber.gap = undefined
    const told = !missing || subscriber.send(this.#encoder.gap(missing.reason, missing.after, batch.oldest))
    if (missing) subscriber.knownTrims = batch.trims // what else is gone need not be told again with every batch
    subscriber.sequence = batch.position
    const sent = batch.events === 0 || subscriber.send(batch.bytes, batch.events)
    return told && sent
  }

  #tellTopics(subscriber: Subscriber): boolean {
    subscriber.hasMoved = false
    return subscriber.send(this.#encoder.open(subscriber.sequence, subscriber.info.id, subscriber.feed.selection.patterns, drawRetry()))
  }

  /** Sends some of the past of topics that it was given, without ids: its cursor is beyond them. */
  async #replay(subscriber: Subscriber, replay: Replay): Promise<boolean> {
    const { selection, after, until } = replay
    const { trims } = this.#log
    const page = await this.#log.read(selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    await this.#breathe()
    if (subscriber.isClosed) return false
    if (subscriber.hasMoved) return true // which topics it has now is told first
    const isGone = page.gap && this.#log.hasTrimmed(selection, after, replay.trims)
    const events = page.events.filter(({ topic, sequence }) => !subscriber.seen.has(topic, sequence))
    replay.trims = trims
    replay.after = page.more ? page.position : until
    subscriber.seen = subscriber.seen.given(selection.patterns, after, replay.after)
    if (!page.more) subscriber.replays.shift()
    const told = !isGone || subscriber.send(this.#encoder.gap('expired', this.#encoder.cursor(after), page.events[0]?.sequence))
    const sent = events.length === 0 || subscriber.send(this.#encoder.events(events, subscriber.feed.wire, false), events.length)
    return told && sent
  }

  /** Sends of each topic the newest event, to somebody who stopped reading for a while. */
  async #skip(subscriber: Subscriber, stall: { told: boolean }): Promise<boolean> {
    const { feed, sequence: after } = subscriber
    const page = await this.#log.newest(feed.selection, { after, until: this.#head(), events: BATCH_EVENTS, bytes: BATCH_BYTES })
    const all = await this.#log.read(feed.selection, { after, until: page.position, events: page.events.length + 1 })
    await this.#breathe()
    if (subscriber.isClosed) return false
    if (subscriber.feed !== feed) return true
    const isSkipped = all.gap || all.events.length > page.events.length
    const told = !isSkipped || stall.told || subscriber.send(this.#encoder.gap('skipped', this.#encoder.cursor(after), page.events[0]?.sequence))
    stall.told ||= isSkipped
    if (isSkipped) subscriber.seen = subscriber.seen.skipped(after, page.position, page.events)
    subscriber.sequence = page.position
    const sent = page.events.length === 0 || subscriber.send(this.#encoder.events(page.events, feed.wire), page.events.length)
    if (!page.more) subscriber.stall = undefined
    return told && sent
  }

  #missing({ feed, sequence, knownTrims }: Subscriber, batch: PastBatch): KnownGap | undefined {
    if (!batch.gap || (knownTrims !== undefined && !this.#log.hasTrimmed(feed.selection, sequence, knownTrims))) return undefined
    return { reason: 'expired', after: this.#encoder.cursor(sequence) }
  }

  /** Makes a subscriber live as soon as its feed's frames reach back to where it stands. */
  #join(subscriber: Subscriber): boolean {
    const { feed, sequence, origin } = subscriber
    const place = sequence < origin.sequence ? undefined : feed.placeAfter(sequence, origin.place)
    if (place === undefined) return false
    if (!this.#sendCarried(subscriber)) return true // joins when its sink has drained
    if (subscriber.announceLive) {
      subscriber.announceLive = false
      subscriber.place = place
      if (!subscriber.send(this.#encoder.live(sequence))) return true // goes live when its sink has drained
    }
    this.#fanout.join(subscriber, place)
    return true
  }

  /** @returns whether its sink still has room */
  #sendCarried(subscriber: Subscriber): boolean {
    const { feed: { selection, wire }, carried } = subscriber
    if (carried.length === 0) return true
    subscriber.carried = []
    const blocks = carried.filter(({ event: { topic, type } }) => selection.hasTopic(topic) && selection.hasType(type)).map((frame) => frame.bytes(wire))
    return blocks.length === 0 || subscriber.send(Buffer.concat(blocks), blocks.length)
  }

  /** Gives the event loop a turn when catching up, of all who do, has held it for a slice. */
  async #breathe(): Promise<void> {
    if (!this.#slice.isOver) return
    await setImmediate()
    this.#slice = new Slice(1)
  }

  #past(feed: Feed, after: number): Promise<PastBatch> | PastBatch {
    const key = `${this.#idOf(feed)}:${after}`
    const shared = this.#shared.get(key)
    if (shared?.trims === this.#log.trims) return shared
    let reading = this.#reading.get(key)
    if (!reading) {
      reading = this.#read(feed, after).finally(() => this.#reading.delete(key))
      this.#reading.set(key, reading)
      reading.then((batch) => {
        if (batch.events > 0) this.#shared.set(key, batch) // where nothing was, something may be soon
      }, () => undefined)
    }
    return reading
  }

  async #read(feed: Feed, after: number): Promise<PastBatch> {
    const { trims } = this.#log
    const page = await this.#log.read(feed.selection, { after, until: this.#head(), events: BATCH_EVENTS, bytes: BATCH_BYTES })
    const bytes = this.#encoder.events(page.events, feed.wire)
    return { bytes, events: page.events.length, position: page.position, gap: page.gap, oldest: page.events[0]?.sequence, trims }
  }

  #idOf(feed: Feed): number {
    let id = this.#feedIds.get(feed)
    if (id === undefined) this.#feedIds.set(feed, (id = ++this.#lastFeedId))
    return id
  }
}
