/**
 * Brings a subscriber from its cursor to the present: reads the log in batches until the feed's frames reach back to
 * where it stands.
 */
import type { EventLog } from '../log/log.js'
import { readPage } from '../log/page.js'
import { Chunk } from '../wire/chunk.js'
import { BATCH_BYTES } from './feed.js'
import type { Fanout } from './fanout.js'
import { BATCH_EVENTS, type CatchUpBatch } from './catch-up-batch.js'
import { CatchUpCache } from './catch-up-cache.js'
import type { Selection } from '../model/selection.js'
import { drawRetry, type Encoder } from '../wire/sse.js'
import type { KnownGap, Replay, Subscriber } from './subscriber.js'
import { FairScheduler } from '../event-loop/fair-scheduler.js'

export class CatchUp {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #head: () => number
  readonly #past: CatchUpCache
  readonly #scheduler = new FairScheduler()

  /** @param head the newest sequence that has been given to the fanout */
  constructor(log: EventLog, encoder: Encoder, fanout: Fanout, head: () => number) {
    this.#log = log
    this.#encoder = encoder
    this.#fanout = fanout
    this.#head = head
    this.#past = new CatchUpCache(log, encoder, head)
  }

  /**
   * Sends what the subscriber lacks until it is live, waits for its sink, or is closed.
   * @throws HubError `log-unavailable`
   */
  async run(subscriber: Subscriber): Promise<void> {
    subscriber.state = 'catching-up'
    subscriber.place = undefined
    for (let hasTurn = false, hasRoom = true; hasRoom && !subscriber.isClosed;) {
      if (subscriber.hasMoved) hasRoom = this.#tellTopics(subscriber)
      else if (this.#hasRead(subscriber) && this.#join(subscriber)) return
      else if (hasTurn) {
        hasTurn = false
        hasRoom = await this.#read(subscriber)
      } else {
        await this.#scheduler.next()
        hasTurn = true // meanwhile it may have been given other topics
      }
    }
  }

  /** Whether there is nothing that it gets whatever its feed's frames reach back to. */
  #hasRead({ replays, stall, gap }: Subscriber): boolean {
    return replays.length === 0 && !stall && !gap
  }

  /** @returns whether its sink still has room */
  async #read(subscriber: Subscriber): Promise<boolean> {
    if (subscriber.replays[0]) return this.#replay(subscriber, subscriber.replays[0])
    if (subscriber.stall && !subscriber.gap) return this.#skip(subscriber, subscriber.stall)
    return this.#readOn(subscriber)
  }

  /** Sends the next batch of what the log holds. */
  async #readOn(subscriber: Subscriber): Promise<boolean> {
    const { feed } = subscriber
    const batch = await this.#past.after(feed, subscriber.sequence)
    if (subscriber.isClosed || subscriber.feed !== feed) {
      batch.release()
      return !subscriber.isClosed // it has been given other topics meanwhile
    }
    const missing = subscriber.gap ?? this.#missing(subscriber, batch)
    const told = !missing || this.#tellGap(subscriber, missing, batch)
    subscriber.sequence = batch.position
    const sent = batch.events === 0 || subscriber.send(batch.chunk, batch.events, undefined, batch)
    if (batch.events === 0) batch.release()
    return told && sent
  }

  /**
   * Tells of a gap once it is known which event follows it.
   * @returns whether its sink still has room
   */
  #tellGap(
    subscriber: Subscriber,
    missing: KnownGap,
    { events, more, oldest, position, trims }: CatchUpBatch,
  ): boolean {
    const isPending = subscriber.gap !== undefined
    if (events === 0 && more) {
      subscriber.gap = missing // a later batch has the first event
      return true
    }
    subscriber.gap = undefined
    subscriber.knownTrims = trims // what else is gone need not be told again with every batch
    const before = oldest === undefined ? position : oldest - 1
    return subscriber.send(this.#encoder.gap(missing.reason, missing.after, oldest, isPending ? before : undefined))
  }

  #tellTopics(subscriber: Subscriber): boolean {
    subscriber.hasMoved = false
    const {
      info: { id },
      feed: { selection },
    } = subscriber
    return subscriber.send(this.#encoder.open(this.#encoder.resumeId(subscriber), id, selection.patterns, drawRetry()))
  }

  /** Sends a page of a replay, without ids: the subscriber's cursor is beyond its events. */
  async #replay(subscriber: Subscriber, replay: Replay): Promise<boolean> {
    const { wanted, selection, count, until } = replay
    const after = replay.after ?? (await this.#log.locate(wanted, { newest: count, until })).after
    const page = await readPage(this.#log, selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    if (subscriber.isClosed) return false
    if (subscriber.hasMoved) return true // the open block with its new topics is sent first
    const { events } = page
    const isGone = page.trimmedAt !== undefined && page.trimmedAt > replay.trims
    replay.trims = page.mark
    replay.after = page.position
    if (!page.more) subscriber.replays.shift()
    const told =
      !isGone || subscriber.send(this.#encoder.gap('expired', this.#encoder.cursor(after), events[0]?.sequence))
    const sent =
      events.length === 0 || subscriber.send(this.#encoder.events(events, subscriber.feed.wire, false), events.length)
    return told && sent
  }

  /** Sends of each topic the newest event. */
  async #skip(subscriber: Subscriber, stall: NonNullable<Subscriber['stall']>): Promise<boolean> {
    const { feed, sequence: after } = subscriber
    const { until = this.#head() } = stall
    const page = await this.#log.newest(feed.selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    const isSkipped =
      !stall.told &&
      (page.trimmedAt !== undefined ||
        (await this.#hasMore(feed.selection, { after, until: page.position }, page.events.length)))
    if (subscriber.isClosed) return false
    if (subscriber.feed !== feed) return true
    const told =
      !isSkipped ||
      stall.told ||
      subscriber.send(this.#encoder.gap('skipped', this.#encoder.cursor(after), page.events[0]?.sequence))
    stall.told ||= isSkipped
    subscriber.sequence = page.position
    const sent =
      page.events.length === 0 || subscriber.send(this.#encoder.events(page.events, feed.wire), page.events.length)
    if (!page.more) subscriber.stall = undefined
    return told && sent
  }

  /** Whether a part of the log has, or had, more than `count` events of a selection. */
  async #hasMore(
    selection: Selection,
    { after, until }: { after: number; until: number },
    count: number,
  ): Promise<boolean> {
    let found = 0
    for (let position = after; ;) {
      const scanned = await this.#log.scan(selection, { after: position, until }, () => ++found <= count)
      if (scanned.trimmedAt !== undefined || found > count) return true
      if (!scanned.more) return false
      position = scanned.position
    }
  }

  #missing({ sequence, knownTrims }: Subscriber, batch: CatchUpBatch): KnownGap | undefined {
    if (batch.trimmedAt === undefined || (knownTrims !== undefined && batch.trimmedAt <= knownTrims)) return undefined
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
    const {
      feed: { selection, wire },
      carried,
    } = subscriber
    if (carried.length === 0) return true
    subscriber.carried = []
    const blocks = carried
      .filter(({ event: { topic, type } }) => selection.hasTopic(topic) && selection.hasType(type))
      .map((frame) => frame.chunk(wire))
    return blocks.length === 0 || subscriber.send(Chunk.join(blocks), blocks.length)
  }
}
