/**
 * Follows the stream of the events with one consumer: builds the index of the log from the messages, trims it, and
 * gives the followers of the log each change.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { StoredEvent } from '../../model/event.js'
import { SharedRequest } from '../../event-loop/shared-request.js'
import type { NatsLink } from '../../nats/nats-link.js'
import type { FiniteNames } from '../finite-names.js'
import type { Followers } from '../followers.js'
import { NO_EVENTS, NO_RECORDS, NO_TRIMS, type RecordChange, type Retention } from '../log.js'
import type { EventIndex } from './event-index.js'
import type { JetStream, StreamInfo } from './jetstream.js'
import { messageId, readHead, storedSize, toStored, type Subjects } from './messages.js'
import type { PurgeMark } from './nats-records.js'
import { OrderedConsumer, type Delivery } from './ordered-consumer.js'
import { RecentIds } from './recent-ids.js'
import { epochOf, windowOf } from './stream-config.js'
import { readHistory } from './stream-history.js'

/** The maximum number of events that are trimmed in one step. */
const TRIM_STEP = 1_000
/** The time for which the result of a purge is kept, in milliseconds. */
const PURGE_RESULT = 1_000

export interface StreamFollowerOptions {
  link: NatsLink
  jetstream: JetStream
  stream: string
  subjects: Subjects
  retention: Retention
  /** The topics whose events are not trimmed. */
  finite: FiniteNames
  followers: Followers
  /** Resolves when `purge` has been called with every mark. */
  learnPurges: () => Promise<void>
  /** Called with the index of each stream before the followers learn of the stream. */
  onBegin: (index: EventIndex) => void
  /** Called with messages for the operator. */
  onNotice: (message: string) => void
}

export class StreamFollower {
  readonly #options: StreamFollowerOptions
  readonly #confirmedInfo: SharedRequest<StreamInfo>
  /** Empty before the first stream. */
  epoch = ''
  index!: EventIndex
  /** The publisher ids of the stream. */
  ids: RecentIds
  /** The topics whose purge is remembered. */
  readonly #purges = new Map<string, PurgeMark>()
  /** The results of recent purges, by the sequences of their marks: how many events each has removed. */
  readonly #purged = new Map<number, Promise<number>>()
  /** `undefined` before the first stream. */
  #consumer: OrderedConsumer | undefined
  /** The newest sequence that the stream has delivered. */
  #last = 0
  /** The newest missing sequence for which the marks of purges were fetched. */
  #missed = 0
  /** The events of an atomic batch whose last event has not arrived yet. */
  #batch: StoredEvent[] = []
  #sizes: number[] = []

  constructor(options: StreamFollowerOptions) {
    const { jetstream, stream } = options
    this.#options = options
    this.#confirmedInfo = new SharedRequest(() => jetstream.confirmedInfo(stream))
    this.ids = new RecentIds(windowOf(options.retention))
  }

  /**
   * Begins to follow a stream: reads what it has, and then each new message. A stream that replaces another one begins
   * with its own publisher ids: those of the other one have cursors of its epoch.
   */
  async begin(info: StreamInfo): Promise<void> {
    const { link, jetstream, stream, subjects, retention, finite, followers, onBegin } = this.#options
    this.#consumer?.stop()
    const ids = new RecentIds(windowOf(retention))
    const index = await readHistory({ link, jetstream, subjects, retention, ids, finite, purges: this.#purges }, info)
    const isReplaced = this.epoch !== ''
    if (isReplaced) {
      const mark = this.index.history.mark + 1
      index.history.mark += mark
      index.history.forgotten.trimmedAt = mark
    }
    this.epoch = epochOf(info)
    this.index = index
    this.ids = ids
    this.#last = info.state.last_seq
    this.#missed = 0
    this.#forgetBatch()
    onBegin(index)
    if (isReplaced) {
      const replaced = { epoch: this.epoch, head: index.head, mark: index.history.mark }
      followers.tell({ events: NO_EVENTS, trims: NO_TRIMS, records: NO_RECORDS, replaced })
    }
    this.#consumer = new OrderedConsumer(link, jetstream, this.#last + 1, {
      stream,
      filter: subjects.all,
      onMessage: (delivery) => this.#apply(delivery),
      onStart: () => this.#restart(),
    })
    await this.#consumer.start()
  }

  /** Resolves when the index has every event up to a sequence that still exists. */
  async reach(sequence: number): Promise<void> {
    await this.#consumer?.reach(sequence)
    if ((this.#consumer?.next ?? 0) > this.#last + 1) this.#applyBatch() // its other events no longer exist
  }

  /**
   * Resolves when the index has every event that was stored before the call, and no event before the beginning of the
   * stream.
   * @throws Error if the stream does not answer, or does not carry out changes
   */
  async settle(): Promise<void> {
    const { state } = await this.#confirmedInfo.get()
    await this.reach(state.last_seq)
    await this.trimBefore(state.first_seq)
  }

  /** Trims the events before a sequence. */
  async trimBefore(first: number): Promise<void> {
    const { index } = this
    for (let isMore = true; isMore;) {
      isMore = index.trimBefore(first, TRIM_STEP)
      if (index !== this.index) return
      this.tell(NO_EVENTS)
      if (isMore) await nextTurn()
    }
  }

  /** Trims the events that any process has purged. Waits for those that have not arrived yet. */
  purge(topic: string, mark: PurgeMark, sequence: number): void {
    this.#purges.set(topic, mark)
    if (mark.epoch !== this.epoch) return // the log is being opened, or the mark belongs to an earlier stream
    const purging = this.#trimPurged(topic, mark.until)
    this.#purged.set(sequence, purging)
    const forget = (): void => void setTimeout(() => this.#purged.delete(sequence), PURGE_RESULT).unref()
    purging.then(forget, forget)
  }

  /** Returns how many events a recent purge has removed. @param sequence that of its mark */
  async purgedBy(sequence: number): Promise<number> {
    return (await this.#purged.get(sequence)) ?? 0
  }

  /** Gives the followers a delta with some events and records, and the pending trims. */
  tell(events: readonly StoredEvent[], records: readonly RecordChange[] = NO_RECORDS): void {
    const trims = (this.index as EventIndex | undefined)?.takeTrims() ?? NO_TRIMS
    if (events.length + trims.length + records.length > 0) this.#options.followers.tell({ events, trims, records })
  }

  stop(): void {
    this.#consumer?.stop()
  }

  /** Begins again after the last applied event: the delivered part of an incomplete atomic batch is delivered again. */
  #restart(): number {
    this.#last = this.index.head
    this.#forgetBatch()
    return this.#last + 1
  }

  #forgetBatch(): void {
    this.#batch = []
    this.#sizes = []
  }

  /** Applies a message of the stream. An atomic batch is applied with its last message. */
  #apply({ message, sequence, time }: Delivery): void {
    if (sequence <= this.index.head) return
    if (sequence > this.#last + 1 && !this.#miss(sequence - 1)) return
    this.#last = sequence
    const head = readHead(this.#options.subjects, message.subject, message.headers)
    if (!head) return
    this.#batch.push(toStored(head, sequence, time, message.data))
    this.#sizes.push(storedSize(message, head))
    if (head.batch === undefined || head.isLast) this.#applyBatch()
  }

  #applyBatch(): void {
    const events = this.#batch
    const sizes = this.#sizes
    this.#forgetBatch()
    for (const [n, event] of events.entries()) {
      this.index.add({ ...event, size: sizes[n]! })
      if (event.id !== undefined) this.ids.add(messageId(event.topic, event.id), event.sequence)
    }
    this.tell(events)
  }

  /**
   * Notes that the messages up to a sequence no longer exist. Purges by hubs explain them if the marks of the purges
   * are known; otherwise any topic may have lost events.
   * @returns `false`: the marks are fetched first, and then the stream is followed again from here
   */
  #miss(until: number): boolean {
    const purges = [...this.#purges].filter(([, mark]) => mark.epoch === this.epoch && mark.until >= until)
    if (purges.length === 0 && this.#missed < until) {
      this.#missed = until
      this.#consumer!.restartAfter(this.#options.learnPurges())
      return false
    }
    this.#applyBatch() // the other events of an incomplete batch are among the missing ones
    if (purges.length === 0) {
      const { stream, onNotice } = this.#options
      onNotice(
        `the stream ${stream} has lost messages from ${this.#last + 1} to ${until} before the hub got them: every cursor before them gets a gap`,
      )
      this.index.suspect(until)
    }
    for (const [topic, mark] of purges) {
      this.index.trimTopic(topic, mark.until, Infinity)
      this.index.lost(topic, mark.until)
    }
    this.tell(NO_EVENTS)
    return true
  }

  async #trimPurged(topic: string, until: number): Promise<number> {
    const { index } = this
    let purged = 0
    if (index.head < until) await this.reach(until)
    for (let count = TRIM_STEP; count === TRIM_STEP && index === this.index;) {
      count = index.trimTopic(topic, until, TRIM_STEP)
      this.tell(NO_EVENTS)
      purged += count
      if (count === TRIM_STEP) await nextTurn()
    }
    return purged
  }
}
