/**
 * The backlog of a stream: the notices, replays and events after the cursor that are sent before the stream goes live.
 * The events are read from the log in batches.
 */
import type { EventLog } from '../log/log.js'
import { readPage } from '../log/page.js'
import { END_TYPE } from '../model/end-type.js'
import { lengthOf, type StoredEvent } from '../model/event.js'
import type { Selection } from '../model/selection.js'
import { Chunk } from '../wire/chunk.js'
import type { Lender } from '../wire/sink.js'
import type { Encoder } from '../wire/sse.js'
import { BATCH_EVENTS, type CatchUpBatch } from './catch-up-batch.js'
import type { CatchUpCache } from './catch-up-cache.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import type { HubFigures } from './figures.js'
import type { Frame } from './frame.js'
import type { GapReason } from '../wire/sse.js'
import type { KnownGap, Start } from './start.js'

/** A replay that a stream asks for: the newest retained events of patterns, sent before everything else. */
export interface WantedReplay {
  /** The patterns, all of them new to the stream. */
  selection: Selection
  /** The maximum number of events. */
  count: number
}

/** The parts of the hub that every backlog works with. */
export interface BacklogSource {
  log: EventLog
  figures: HubFigures
  encoder: Encoder
  batches: CatchUpCache
  /** Returns the newest sequence that may be sent to streams. */
  head: () => number
}

/** One write of a backlog to a stream. */
export interface Delivery {
  /** The block before the events. */
  notice?: Chunk | undefined
  chunk: Chunk
  events: number
  lender?: Lender
  /** The stream's cursor after the delivery; `undefined`: the cursor stays. */
  position?: number
}

/** A part of the backlog that has been read. Call exactly one of its methods. */
export interface Portion {
  /** Removes the part from the backlog. The caller sends it at once. */
  accept(): Delivery
  /** Leaves the part in the backlog, because the stream was closed or moved during the read. */
  discard(): void
}

/** The newest retained events of patterns. They lie before the stream's cursor, so they are sent without ids. */
interface Replay {
  /** The requested patterns. `count` applies to all of them together. */
  wanted: Selection
  /** The requested patterns without those that the stream has dropped since. */
  selection: Selection
  /** The maximum number of events of the replay. */
  count: number
  /** The end of the replay: the stream's cursor at the request, as a sequence. */
  until: number
  /** The sequence up to which the replay has been sent; `undefined`: its first event has not been located. */
  after: number | undefined
  /** Trims up to this mark need no gap notice: they came before the replay, or were reported. */
  mark: number
}

/** A part of the log of which only the newest event of each topic is sent. */
interface Skip {
  /** Whether its gap notice has been sent, or is not needed. */
  isTold: boolean
  /** The newest sequence of the part; `undefined`: the head at the time of the read. */
  until?: number
}

export class Backlog {
  readonly #source: BacklogSource
  /** The gap that is reported before the next event. */
  #gap: KnownGap | undefined
  #hasMoved = false
  /** In the order of sending. */
  #replays: Replay[] = []
  /** Ephemeral events of topics that the stream kept when it moved. */
  #carried: Frame[] = []
  #skip: Skip | undefined
  /** Trims up to this mark need no gap notice: they came before a replay, or were reported. */
  #knownMark: number | undefined
  /** Whether a `fanfare.live` block is due: after a replay or a resume. */
  #announcesLive = false

  constructor(source: BacklogSource, start?: Start) {
    this.#source = source
    if (!start) return
    this.#gap = start.gap
    this.#announcesLive = start.past
    this.#knownMark = start.replayedAt
    if (start.latestUntil !== undefined) this.#skip = { isTold: true, until: start.latestUntil }
  }

  /** Whether only the events after the stream's cursor are left. The feed may hold them. */
  get isRead(): boolean {
    return this.#replays.length === 0 && !this.#skip && !this.#gap
  }

  /** Whether only the newest event of each topic is sent next. */
  get skips(): boolean {
    return this.#skip !== undefined
  }

  /** Whether the stream has moved, and no `fanfare.open` block has announced the move. */
  get hasMoved(): boolean {
    return this.#hasMoved
  }

  /** The number of replays that are left. */
  get replays(): number {
    return this.#replays.length
  }

  /** As `Encoder.resumeId`. */
  resumeId(sequence: number): string | undefined {
    return this.#source.encoder.resumeId({ gap: this.#gap, sequence })
  }

  /** Sends only the newest event of each topic, up to the head at the time of the read. */
  skip(): void {
    this.#skip ??= { isTold: false }
  }

  /** Changes the topics. Drops the replays of patterns that the stream no longer has. */
  move(before: Selection, { patterns }: Selection): void {
    this.#hasMoved = true
    this.#replays = this.#replays.flatMap((replay) => {
      const kept = replay.selection.of(replay.selection.patterns.filter((pattern) => patterns.includes(pattern)))
      return kept.patterns.length > 0 ? [{ ...replay, selection: kept }] : []
    })
    if (patterns.every((pattern) => before.patterns.includes(pattern))) return
    // The new topics need every event after the cursor, so skipped events are a gap.
    if (this.#skip?.until !== undefined) this.#skip.isTold = false
    this.#knownMark = undefined
  }

  /**
   * Adds a replay.
   * @param until the stream's cursor, as a sequence
   * @param mark the trim mark: earlier trims need no gap notice
   */
  addReplay({ selection, count }: WantedReplay, until: number, mark: number): void {
    this.#replays.push({ wanted: selection, selection, count, until, after: undefined, mark })
  }

  /** Keeps ephemeral events of the feed that the stream leaves: the newest, at most one batch. */
  carry(frames: readonly Frame[]): void {
    this.#carried.push(...frames)
    let bytes = 0
    const first = this.#carried.findLastIndex(({ event }) => (bytes += lengthOf(event)) > BATCH_BYTES)
    this.#carried.splice(0, first + 1)
  }

  /** @returns whether the stream has moved since the last call */
  takeMove(): boolean {
    const hasMoved = this.#hasMoved
    this.#hasMoved = false
    return hasMoved
  }

  /** Returns the carried ephemeral events that the feed selects. */
  takeCarried({ selection, wire }: Feed): { chunk: Chunk; events: number } | undefined {
    const blocks = this.#carried
      .filter(({ event: { topic, type } }) => selection.hasTopic(topic) && selection.hasType(type))
      .map((frame) => frame.chunk(wire))
    this.#carried = []
    return blocks.length > 0 ? { chunk: Chunk.join(blocks), events: blocks.length } : undefined
  }

  /** @returns whether a `fanfare.live` block is due */
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

  /** Returns the gap notice before a batch. The notice waits until the event after the gap is known. */
  #noticeBefore(batch: CatchUpBatch, sequence: number): Chunk | undefined {
    const pending = this.#gap
    const missing = pending ?? this.#missingFrom(batch, sequence)
    if (!missing) return undefined
    const { events, more, oldest, position, mark } = batch
    if (events === 0 && more) {
      this.#gap = missing
      return undefined
    }
    this.#gap = undefined
    this.#knownMark = mark // later batches do not repeat the notices of other trims
    const before = oldest === undefined ? position : oldest - 1
    return this.#gapBlock(missing.reason, missing.after, oldest, pending ? before : undefined)
  }

  /** Encodes a gap, and counts it. The arguments are those of `Encoder.gap`. */
  #gapBlock(reason: GapReason, ...rest: [after: string, oldest: number | undefined, sequence?: number]): Chunk {
    this.#source.figures.gaps[reason]++
    return this.#source.encoder.gap(reason, ...rest)
  }

  #missingFrom({ trimmedAt }: CatchUpBatch, sequence: number): KnownGap | undefined {
    if (trimmedAt === undefined || (this.#knownMark !== undefined && trimmedAt <= this.#knownMark)) return undefined
    return { reason: 'expired', after: this.#source.encoder.cursor(sequence) }
  }

  async #readReplay(feed: Feed, replay: Replay): Promise<Portion> {
    const { log, encoder } = this.#source
    const { wanted, selection, count, until } = replay
    const after = replay.after ?? (await log.locate(wanted, { newest: count, until })).after
    const page = await readPage(log, selection, { after, until, events: BATCH_EVENTS, bytes: BATCH_BYTES })
    return {
      accept: () => {
        const { trimmedAt, mark, position, more } = page
        const events = withoutEnd(page.events, feed)
        const isMissing = trimmedAt !== undefined && trimmedAt > replay.mark
        replay.mark = mark
        replay.after = position
        if (!more) this.#replays.shift()
        return {
          notice: isMissing ? this.#gapBlock('expired', encoder.cursor(after), events[0]?.sequence) : undefined,
          chunk: events.length > 0 ? this.#encodeReplay(events, feed, until) : Chunk.NOTHING,
          events: events.length,
        }
      },
      discard: () => undefined,
    }
  }

  /** Encodes replayed events. Only the ends of finite topics have an `id:`: the stream's cursor. */
  #encodeReplay(events: readonly StoredEvent[], { wire }: Feed, cursor: number): Chunk {
    const { encoder } = this.#source
    if (!events.some(({ type }) => type === END_TYPE)) return encoder.events(events, wire, false)
    const id = this.resumeId(cursor)
    return Chunk.join(
      events.map((event) =>
        event.type === END_TYPE ? encoder.end(event, wire, id) : encoder.events([event], wire, false),
      ),
    )
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
        const reports = isMissing && !skip.isTold
        skip.isTold ||= isMissing
        if (!more) this.#skip = undefined
        return {
          notice: reports ? this.#gapBlock('skipped', encoder.cursor(after), events[0]?.sequence) : undefined,
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

/** Leaves out the end of the feed's topic, which is sent after everything else. */
function withoutEnd(events: readonly StoredEvent[], feed: Feed): readonly StoredEvent[] {
  const end = feed.selection.isSingleTopic ? events.find(({ type }) => type === END_TYPE) : undefined
  if (!end) return events
  feed.endsAt ??= end.sequence
  return events.filter((event) => event !== end)
}
