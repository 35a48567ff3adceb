/**
 * What a stream is sent before it goes live: notices, replays, and the events behind its cursor, read from the log in
 * batches.
 */
import type { EventLog } from '../log/log.js'
import { readPage } from '../log/page.js'
import { lengthOf } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import { Chunk } from '../wire/chunk.js'
import type { Lender } from '../wire/sink.js'
import type { Encoder } from '../wire/sse.js'
import { BATCH_EVENTS, type CatchUpBatch } from './catch-up-batch.js'
import type { CatchUpCache } from './catch-up-cache.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { Frame } from './frame.js'
import type { KnownGap, Start } from './start.js'

/** The newest retained events of patterns that a stream is given, sent before everything else. */
export interface WantedReplay {
  /** The patterns, all of them new to the stream. */
  selection: Selection
  /** The most events. */
  count: number
}

/** The parts of the hub that every backlog works with. */
export interface BacklogSource {
  log: EventLog
  encoder: Encoder
  batches: CatchUpCache
  /** Returns the newest sequence that may be sent. */
  head: () => number
}

/** What a stream is to send next. */
export interface Delivery {
  /** The block that comes before the events. */
  notice?: Chunk | undefined
  chunk: Chunk
  events: number
  lender?: Lender
  /** The stream's cursor behind them; `undefined`: it stays. */
  position?: number
}

/** A part of the backlog that has been read. Exactly one of its methods has to be called. */
export interface Portion {
  /** Takes it out of the backlog. The caller sends it at once. */
  accept(): Delivery
  /** Leaves it in the backlog: the stream was closed or moved while it was read. */
  discard(): void
}

/** The newest retained events of patterns, sent without ids, since they lie before the stream's cursor. */
interface Replay {
  /** The patterns that were asked for: `count` is over all of them. */
  wanted: Selection
  /** The same, without those that the stream has dropped since. */
  selection: Selection
  /** The most events that it brings. */
  count: number
  /** The stream's cursor when it was asked for, as a sequence: the replay ends there. */
  until: number
  /** The sequence up to which it has been sent; `undefined`: its first event has not been located. */
  after: number | undefined
  /** Trims up to this mark need no gap notice: they came before the replay, or were reported. */
  mark: number
}

/** A part of the log of which only the newest event of each topic is sent. */
interface Skip {
  /** Whether its gap notice has been sent, or is not needed. */
  isTold: boolean
  /** The newest sequence of the part; `undefined`: the head, whenever it is read. */
  until?: number
}

export class Backlog {
  readonly #source: BacklogSource
  /** The gap that is reported before the next event. */
  #gap: KnownGap | undefined
  #hasMoved = false
  /** The first is sent first. */
  #replays: Replay[] = []
  /** Ephemeral events of topics that the stream kept when it was moved. */
  #carried: Frame[] = []
  #skip: Skip | undefined
  /** Trims up to this mark need no gap notice: they came before a replay, or were reported. */
  #knownMark: number | undefined
  /** Whether a block says once that the stream is live: after a replay or a resume. */
  #announcesLive = false

  constructor(source: BacklogSource, start?: Start) {
    this.#source = source
    if (!start) return
    this.#gap = start.gap
    this.#announcesLive = start.past
    this.#knownMark = start.replayedAt
    if (start.latestUntil !== undefined) this.#skip = { isTold: true, until: start.latestUntil }
  }

  /** Whether only the events behind the stream's cursor are left, which its feed may have. */
  get isRead(): boolean {
    return this.#replays.length === 0 && !this.#skip && !this.#gap
  }

  /** Whether only the newest event of each topic is sent next. */
  get skips(): boolean {
    return this.#skip !== undefined
  }

  /** Whether the stream has been moved and the subscriber does not know. */
  get hasMoved(): boolean {
    return this.#hasMoved
  }

  /** How many replays are left. */
  get replays(): number {
    return this.#replays.length
  }

  /** As `Encoder.resumeId`. */
  resumeId(sequence: number): string | undefined {
    return this.#source.encoder.resumeId({ gap: this.#gap, sequence })
  }

  /** Sends only the newest event of each topic, up to the head when it is read. */
  skip(): void {
    this.#skip ??= { isTold: false }
  }

  /** Adapts to other topics. Replays of patterns that the stream has no more are dropped. */
  move(before: Selection, { patterns }: Selection): void {
    this.#hasMoved = true
    this.#replays = this.#replays.flatMap((replay) => {
      const kept = replay.selection.of(replay.selection.patterns.filter((pattern) => patterns.includes(pattern)))
      return kept.patterns.length > 0 ? [{ ...replay, selection: kept }] : []
    })
    if (patterns.every((pattern) => before.patterns.includes(pattern))) return
    // Every event of the new topics behind the cursor is asked for.
    if (this.#skip?.until !== undefined) this.#skip.isTold = false
    this.#knownMark = undefined
  }

  /**
   * Adds a replay.
   * @param until the stream's cursor, as a sequence
   * @param mark the trim mark: what was trimmed by then was not asked for
   */
  addReplay({ selection, count }: WantedReplay, until: number, mark: number): void {
    this.#replays.push({ wanted: selection, selection, count, until, after: undefined, mark })
  }

  /** Keeps ephemeral events of the feed that the stream leaves: no more than a batch, the newest. */
  carry(frames: readonly Frame[]): void {
    this.#carried.push(...frames)
    let bytes = 0
    const first = this.#carried.findLastIndex(({ event }) => (bytes += lengthOf(event)) > BATCH_BYTES)
    this.#carried.splice(0, first + 1)
  }

  /** @returns whether the stream has been moved since the last call */
  takeMove(): boolean {
    const hasMoved = this.#hasMoved
    this.#hasMoved = false
    return hasMoved
  }

  /** Returns the ephemeral events that a feed's subscribers get of those that were carried. */
  takeCarried({ selection, wire }: Feed): { chunk: Chunk; events: number } | undefined {
    const blocks = this.#carried
      .filter(({ event: { topic, type } }) => selection.hasTopic(topic) && selection.hasType(type))
      .map((frame) => frame.chunk(wire))
    this.#carried = []
    return blocks.length > 0 ? { chunk: Chunk.join(blocks), events: blocks.length } : undefined
  }

  /** @returns whether a block has to say that the stream is live */
  takeAnnouncement(): boolean {
    const announces = this.#announcesLive
    this.#announcesLive = false
    return announces
  }

  /**
   * Reads the next part.
   * @param sequence the stream's cursor
   * @throws HubError `log-unavailable`
   */
  read(feed: Feed, sequence: number): Promise<Portion> {
    const [replay] = this.#replays
    if (replay) return this.#readReplay(feed, replay)
    if (this.#skip && !this.#gap) return this.#readNewest(feed, sequence, this.#skip)
    return this.#readBatch(feed, sequence)
  }

  async #readBatch(feed: Feed, sequence: number): Promise<Portion> {
    const batch = await this.#source.batches.after(feed, sequence)
    return {
      accept: () => {
        const { chunk, events, position } = batch
        const notice = this.#noticeBefore(batch, sequence)
        if (events === 0) batch.release()
        return { notice, chunk, events, position, ...(events > 0 ? { lender: batch } : {}) }
      },
      discard: () => batch.release(),
    }
  }

  /** Returns the gap notice before a batch. It waits until the event that follows it is known. */
  #noticeBefore(batch: CatchUpBatch, sequence: number): Chunk | undefined {
    const { encoder } = this.#source
    const pending = this.#gap
    const missing = pending ?? this.#missingFrom(batch, sequence)
    if (!missing) return undefined
    const { events, more, oldest, position, mark } = batch
    if (events === 0 && more) {
      this.#gap = missing
      return undefined
    }
    this.#gap = undefined
    this.#knownMark = mark // other trims are not reported with every batch
    const before = oldest === undefined ? position : oldest - 1
    return encoder.gap(missing.reason, missing.after, oldest, pending ? before : undefined)
  }

  #missingFrom({ trimmedAt }: CatchUpBatch, sequence: number): KnownGap | undefined {
    if (trimmedAt === undefined || (this.#knownMark !== undefined && trimmedAt <= this.#knownMark)) return undefined
    return { reason: 'expired', after: this.#source.encoder.cursor(sequence) }
  }

  async #readReplay({ wire }: Feed, replay: Replay): Promise<Portion> {
    const { log, encoder } = this.#source
    const { wanted, selection, count, until } = replay
    const after = replay.after ?? (await log.locate(wanted, { newest: count, until })).after
    const page = await readPage(log, selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    return {
      accept: () => {
        const { events, trimmedAt, mark, position, more } = page
        const isMissing = trimmedAt !== undefined && trimmedAt > replay.mark
        replay.mark = mark
        replay.after = position
        if (!more) this.#replays.shift()
        return {
          notice: isMissing ? encoder.gap('expired', encoder.cursor(after), events[0]?.sequence) : undefined,
          chunk: events.length > 0 ? encoder.events(events, wire, false) : Chunk.NOTHING,
          events: events.length,
        }
      },
      discard: () => undefined,
    }
  }

  async #readNewest({ selection, wire }: Feed, after: number, skip: Skip): Promise<Portion> {
    const { log, encoder, head } = this.#source
    const { until = head() } = skip
    const page = await log.newest(selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    const { events, position, more } = page
    const isMissing =
      !skip.isTold && (page.trimmedAt !== undefined || (await this.#hasMore(selection, after, position, events.length)))
    return {
      accept: () => {
        const tells = isMissing && !skip.isTold
        skip.isTold ||= isMissing
        if (!more) this.#skip = undefined
        return {
          notice: tells ? encoder.gap('skipped', encoder.cursor(after), events[0]?.sequence) : undefined,
          chunk: events.length > 0 ? encoder.events(events, wire) : Chunk.NOTHING,
          events: events.length,
          position,
        }
      },
      discard: () => undefined,
    }
  }

  /** Whether a part of the log has, or had, more than `count` events of a selection. */
  async #hasMore(selection: Selection, after: number, until: number, count: number): Promise<boolean> {
    let found = 0
    for (let position = after; ;) {
      const scanned = await this.#source.log.scan(selection, { after: position, until }, () => ++found <= count)
      if (scanned.trimmedAt !== undefined || found > count) return true
      if (!scanned.more) return false
      position = scanned.position
    }
  }
}
