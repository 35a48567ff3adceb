/** A log in memory, for tests and for hubs whose events need not survive the process. */
import { drawEpoch } from '../../model/cursor.js'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import {
  NO_EVENTS,
  NO_RECORDS,
  NO_TRIMS,
  tooManyIds,
  tooManyTopics,
  type Appended,
  type AppendOptions,
  type ApplyDelta,
  type Beginning,
  type EventLog,
  type Expected,
  type Following,
  type Located,
  type LogStats,
  type LogView,
  type Page,
  type ReadOptions,
  type Retention,
  type ScanResult,
  type Span,
  type TopicStats,
  type TopicsOptions,
  type TopicsPage,
} from '../log.js'
import { conflict } from '../finite-names.js'
import { SteadyClock, timeFrom } from '../steady-clock.js'
import { locateIn, TimeIndex } from '../time-index.js'
import type { TrimHistory } from '../trim-marks.js'
import { Followers } from '../followers.js'
import { toKept, type KeptEvent } from './kept-event.js'
import { MemoryReader } from './memory-reader.js'
import { MemoryRecords } from './memory-records.js'
import { MemoryTrimmer } from './memory-trimmer.js'
import { PublisherIds } from './publisher-ids.js'
import { RetainedEvents, type TopicLog } from './retained-events.js'

export class MemoryLog implements EventLog {
  readonly view: LogView
  readonly records: MemoryRecords
  readonly #maxTopics: number
  readonly #clock: SteadyClock
  readonly #retained = new RetainedEvents()
  readonly #ids = new PublisherIds()
  readonly #times = new TimeIndex(() => this.#retained.order.oldest?.sequence ?? this.#retained.head + 1, 0)
  readonly #trimmer: MemoryTrimmer
  readonly #reader: MemoryReader
  readonly #followers = new Followers()

  /**
   * @param now the wall clock, in milliseconds; for tests
   * @param elapsed a monotonic clock, in milliseconds; for tests
   */
  constructor(retention: Retention, now?: () => number, elapsed?: () => number) {
    this.#maxTopics = retention.topics ?? Infinity
    const source = timeFrom(now, elapsed)
    this.#clock = new SteadyClock(source)
    this.records = new MemoryRecords((change) => {
      this.#retained.finite.changed([change])
      this.#followers.tell({ events: NO_EVENTS, trims: NO_TRIMS, records: [change] })
    }, source.now)
    this.#trimmer = new MemoryTrimmer(this.#retained, this.#ids, this.#clock, retention, () => this.#tell(NO_EVENTS))
    this.#reader = new MemoryReader(this.#retained, this.#trimmer.history)
    this.view = new MemoryView(this.#retained, this.#trimmer.history)
  }

  async append(events: readonly NewEvent[], { expected }: AppendOptions = {}): Promise<Appended[]> {
    this.#requireExpected(events, expected)
    if (!expected) this.#requireTopics(events)
    this.#requireRoomForIds(events)
    const time = this.#clock.stamp(this.#retained.head)
    const stored: StoredEvent[] = []
    const appended = events.map((event): Appended => {
      const first = event.id === undefined ? undefined : this.#remembered(event.topic, event.id)
      if (first !== undefined) return { sequence: first, duplicate: true }
      const sequence = this.#retained.head + 1
      const topic = this.#topic(event.topic)
      this.#store(topic, toKept(sequence, time, topic.name, event), stored)
      return { sequence, duplicate: false }
    })
    this.#trimmer.trimBytes()
    if (stored.length > 0) this.#times.note(stored[0]!.sequence, time, this.#retained.head)
    this.#tell(stored)
    return appended
  }

  async follow(apply: ApplyDelta): Promise<Following> {
    return this.#followers.add(apply, this.view)
  }

  scan(selection: Selection, span: Span, visit: (event: StoredEvent) => boolean): Promise<ScanResult> {
    return this.#reader.scan(selection, span, visit)
  }

  async locate(selection: Selection, beginning: Beginning): Promise<Located> {
    const { mark } = this.view
    const after =
      'newest' in beginning
        ? await this.#reader.before(selection, beginning.newest, beginning.until)
        : await locateIn(this.#times.find(beginning.from), this.#reader, selection, beginning.from)
    return { after, mark }
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#reader.newest(selection, options)
  }

  async topic(name: string): Promise<TopicStats | undefined> {
    return this.#retained.statsOf(name)
  }

  topics(options: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    return this.#reader.topics(options, accepts)
  }

  purge(name: string): Promise<number> {
    return this.#trimmer.purge(name)
  }

  /** As `MemoryTrimmer.trim`. */
  trim(): boolean {
    return this.#trimmer.trim()
  }

  async halt(): Promise<void> {
    // a memory log writes nothing
  }

  async close(): Promise<void> {
    this.#trimmer.stop()
    this.records.stop()
    this.#followers.clear()
  }

  /** Gives the followers a delta with some events and the pending trims. */
  #tell(events: readonly StoredEvent[]): void {
    const trims = this.#trimmer.history.take()
    if (events.length + trims.length > 0) this.#followers.tell({ events, trims, records: NO_RECORDS })
  }

  /** @throws HubError `finite-topic`, `append-conflict` */
  #requireExpected(events: readonly NewEvent[], expected: Expected | undefined): void {
    if (!expected) {
      const refusal = this.#retained.finite.refusal(events)
      if (refusal) throw refusal
      return
    }
    const newest = this.#retained.get(expected.topic)?.events.newest?.sequence ?? 0
    if (newest !== expected.sequence) throw conflict(expected, newest)
  }

  /**
   * Checks that events do not exceed the maximum number of topics.
   * @throws HubError `too-many-topics`
   */
  #requireTopics(events: readonly NewEvent[]): void {
    const limit = this.#maxTopics
    const { topics } = this.#retained
    if (topics + events.length <= limit) return
    const added = new Set<string>()
    for (const [index, event] of events.entries()) {
      const { topic, id } = event
      if (this.#retained.has(topic) || (id !== undefined && this.#remembered(topic, id) !== undefined)) continue
      if (topics + added.add(topic).size > limit) throw tooManyTopics(event, index, limit)
    }
  }

  /**
   * Checks that there is room for new publisher ids.
   * @throws HubError `too-many-ids`
   */
  #requireRoomForIds(events: readonly NewEvent[]): void {
    if (this.#trimmer.hasRoomForIds) return
    const index = events.findIndex(({ topic, id }) => id !== undefined && this.#remembered(topic, id) === undefined)
    if (index >= 0) throw tooManyIds(index)
  }

  /** Returns a topic with events, or adds it before its first event. */
  #topic(name: string): TopicLog {
    const topic = this.#retained.get(name)
    if (topic) return topic
    const { history } = this.#trimmer
    history.filled(name)
    return this.#retained.add(name, history.trimmedOf(name))
  }

  #store(topic: TopicLog, event: KeptEvent, stored: StoredEvent[]): void {
    this.#retained.push(topic, event)
    if (event.id !== undefined) this.#ids.add(event.topic, event.id, event.sequence)
    stored.push(event)
    this.#trimmer.trimTopic(topic)
  }

  /** Returns the sequence of the first event with a publisher id; `undefined`: the id is not remembered. */
  #remembered(topic: string, id: string): number | undefined {
    return this.#ids.find(topic, id, this.#clock.time)
  }
}

class MemoryView implements LogView {
  readonly epoch = drawEpoch()
  readonly failure = undefined
  readonly #retained: RetainedEvents
  readonly #history: TrimHistory

  constructor(retained: RetainedEvents, history: TrimHistory) {
    this.#retained = retained
    this.#history = history
  }

  get head(): number {
    return this.#retained.head
  }

  get mark(): number {
    return this.#history.mark
  }

  stats(): LogStats {
    return this.#retained.stats()
  }
}
