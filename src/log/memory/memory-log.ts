/** A log in memory: for tests, and for hubs that keep nothing beyond their own life. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { drawEpoch } from '../../model/cursor.js'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { advance, type Work } from '../../event-loop/time-slice.js'
import { Smallest } from '../../model/smallest.js'
import { FairScheduler } from '../../event-loop/fair-scheduler.js'
import { EventOrder } from './event-order.js'
import { EventQueue } from './event-queue.js'
import { EventWalk, topicsWithin, type Walkable } from './event-walk.js'
import {
  IDS_PART,
  REMEMBERED_TOPICS,
  tooManyIds,
  tooManyTopics,
  type Appended,
  type EventLog,
  type FollowListener,
  type LogStats,
  type Page,
  type ReadOptions,
  type Records,
  type Retention,
  type ScanResult,
  type Span,
  type TopicsOptions,
  type TopicsPage,
  type TopicStats,
} from '../log.js'
import { PageBuilder } from '../page-builder.js'
import { toKept, type KeptEvent } from './kept-event.js'
import { PublisherIds } from './publisher-ids.js'
import { SteadyClock, timeFrom } from '../steady-clock.js'
import { locateIn, TimeIndex } from '../time-index.js'
import { BRANCH_SIZE, TopicTree } from '../topic-tree.js'
import { GapSearch, TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'

/** How often age and publisher ids are looked at, in milliseconds. */
const TRIM_INTERVAL = 1_000
/** How many events one step of trimming may take, so that an append never waits long. */
const TRIM_STEP = 1_000
/** A page looks at no more events than this, however few of them match. */
const LOOKED_AT = 20_000
/** Which part of them the marks of trimmed topics may take: then topics without events are forgotten. */
const MARKS_PART = 1 / 4
/**
 * What is kept beside the events counts only beyond so many bytes: a log that keeps very little would keep no event.
 */
const UNCOUNTED = 512 * 1024

/** A topic that has events. */
interface TopicLog extends Trimmed {
  readonly name: string
  readonly events: EventQueue
  bytes: number
}

export class MemoryLog implements EventLog, TrimHistory, Walkable {
  readonly epoch = drawEpoch()
  readonly failure = undefined
  trims = 0
  readonly records: Records = new MemoryRecords()
  readonly marks = new TrimMarks()
  newestTrimmed = 0
  forgotten: Trimmed = { trimmed: 0, trimmedAt: 0 }
  #head = 0
  #events = 0
  #bytes = 0
  readonly #retention: Retention
  readonly #clock: SteadyClock
  readonly #scheduler = new FairScheduler()
  readonly #topics = new Map<string, TopicLog>()
  readonly #tree = new TopicTree<TopicLog>()
  readonly #followers = new Set<FollowListener>()
  /** What the followers are being told, and what was appended meanwhile. */
  readonly #untold: StoredEvent[][] = []
  readonly order = new EventOrder()
  /** Topics that have no events left, in the order in which they were emptied. */
  readonly #emptied = new Set<string>()
  readonly #ids = new PublisherIds()
  readonly #times = new TimeIndex(() => this.order.oldest?.sequence ?? this.#head + 1, 0)
  readonly #timer: NodeJS.Timeout

  /**
   * @param now the wall clock, in milliseconds; for tests
   * @param elapsed time that passes, in milliseconds; for tests
   */
  constructor(retention: Retention, now?: () => number, elapsed?: () => number) {
    this.#retention = retention
    this.#clock = new SteadyClock(timeFrom(now, elapsed))
    this.#timer = setInterval(() => this.trim(), TRIM_INTERVAL).unref()
  }

  get head(): number {
    return this.#head
  }

  async append(events: readonly NewEvent[]): Promise<Appended[]> {
    this.#requireTopics(events)
    this.#requireRoomForIds(events)
    const time = this.#clock.stamp(this.#head)
    const stored: StoredEvent[] = []
    const appended = events.map((event): Appended => {
      const first = event.id === undefined ? undefined : this.#remembered(event.topic, event.id)
      if (first !== undefined) return { sequence: first, duplicate: true }
      const sequence = ++this.#head
      const topic = this.#topic(event.topic)
      this.#store(topic, toKept(sequence, time, topic.name, event), stored)
      return { sequence, duplicate: false }
    })
    this.#trimBytes()
    if (stored.length > 0) {
      this.#times.note(stored[0]!.sequence, time, this.#head)
      this.#tell(stored)
    }
    return appended
  }

  /** Tells the followers, one after the other also when one of them appends. */
  #tell(stored: StoredEvent[]): void {
    this.#untold.push(stored)
    if (this.#untold.length > 1) return
    for (let events = this.#untold[0]; events; events = this.#untold[0]) {
      for (const follower of this.#followers) follower(events)
      this.#untold.shift()
    }
  }

  follow(listener: FollowListener): () => void {
    this.#followers.add(listener)
    return () => void this.#followers.delete(listener)
  }

  async read(selection: Selection, options: ReadOptions): Promise<Page> {
    const page = new PageBuilder(options)
    return { events: page.events, ...(await this.#run(this.#scan(selection, options, (event) => page.take(event)))) }
  }

  scan(selection: Selection, span: Span, visit: (event: StoredEvent) => boolean): Promise<ScanResult> {
    return this.#run(this.#scan(selection, span, visit))
  }

  before(selection: Selection, count: number, until?: number): Promise<number> {
    return this.#run(this.#before(selection, count, until))
  }

  locate(selection: Selection, time: number): Promise<number> {
    return locateIn(this.#times.find(time), this, selection, time)
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#run(this.#newest(selection, options))
  }

  async topic(name: string): Promise<TopicStats | undefined> {
    const topic = this.#topics.get(name)
    return topic && statsOf(topic)
  }

  topics(options: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    return this.#run(this.#list(options, accepts))
  }

  async purge(name: string): Promise<number> {
    const until = this.#head
    let purged = 0
    for (let topic = this.#topics.get(name); topic; topic = this.#topics.get(name)) {
      for (let step = 0; step < TRIM_STEP; step++) {
        const { oldest } = topic.events
        if (!oldest || oldest.sequence > until) return purged
        this.#trimOne(topic)
        purged++
      }
      await nextTurn()
    }
    return purged
  }

  stats(): LogStats {
    return { topics: this.#topics.size, events: this.#events, bytes: this.#bytes }
  }

  async halt(): Promise<void> {
    // it writes nothing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#followers.clear()
  }

  trimmedOf(topic: string): Trimmed {
    return this.#topics.get(topic) ?? this.marks.get(topic) ?? this.forgotten
  }

  /** Finds the topics of a selection that have events, step by step; `undefined`: a step that has found none. */
  *matching(selection: Selection): Generator<TopicLog | undefined, undefined> {
    if (selection.wildcards.length > 0) yield* this.#tree.matching(selection.tree)
    else for (const name of selection.topics) yield this.#topics.get(name)
  }

  /**
   * Trims what is too old, and the publisher ids whose time is over. Runs by itself; returns whether there is more to
   * do.
   */
  trim(): boolean {
    let steps = 0
    for (let { oldest } = this.order; oldest && this.#isTooOld(oldest); { oldest } = this.order) {
      if (++steps > TRIM_STEP) return this.#trimSoon()
      this.#trimOne(this.#topics.get(oldest.topic)!)
    }
    while (this.#ids.forgetOne(this.#clock.time)) if (++steps > TRIM_STEP) return this.#trimSoon()
    return false
  }

  #trimSoon(): boolean {
    setImmediate(() => this.trim())
    return true
  }

  /** Does some work, in slices of the event loop's turns. */
  async #run<T>(work: Work<T>): Promise<T> {
    for (;;) {
      const step = advance(work)
      if (step.done) return step.value
      await this.#scheduler.next()
    }
  }

  *#scan(
    selection: Selection,
    { after, until = this.#head }: Span,
    visit: (event: StoredEvent) => boolean,
  ): Work<ScanResult> {
    const gaps = new GapSearch(this, selection)
    yield* gaps.begin(after)
    const walk = new EventWalk(this, selection, 'forwards', { after, until })
    let position = after
    for (const event of walk.events()) {
      gaps.advance(position)
      if (walk.looked > LOOKED_AT || (event && selection.hasType(event.type) && !visit(event)))
        return gaps.result(position, true)
      position = walk.position
      yield
    }
    gaps.advance(position)
    return gaps.result(Math.max(after, until), false)
  }

  *#before(selection: Selection, count: number, until = this.#head): Work<number> {
    if (count === 0) return until
    let found = 0
    for (const event of new EventWalk(this, selection, 'backwards', { after: 0, until }).events()) {
      if (event && selection.hasType(event.type) && ++found === count) return event.sequence - 1
      yield
    }
    return 0
  }

  /** Looks for the newest event of each topic, topic by topic where that costs less than a page's share of the log. */
  *#newest(selection: Selection, options: ReadOptions): Work<Page> {
    const { after, until = this.#head, ...limits } = options
    const topics = yield* topicsWithin(Math.sqrt(limits.events * this.order.length), this, selection)
    if (!topics) return yield* this.#newestInOrder(selection, options)
    const end = Math.min(until, this.#head)
    const gaps = new GapSearch(this, selection)
    yield* gaps.begin(after)
    const newest = new Smallest<StoredEvent>(limits.events + 1, (a, b) => a.sequence - b.sequence)
    for (const { events } of topics) {
      const event = yield* newestOf(events, selection, after, end)
      if (event) newest.add(event)
      yield
    }
    gaps.advance(after)
    const page = new PageBuilder(limits)
    const { events } = page
    const more = newest.sorted().some((event) => !page.take(event))
    return { events, ...gaps.result(more ? (events.at(-1)?.sequence ?? after) : Math.max(after, end), more) }
  }

  /**
   * The same for many topics: looks at the events of the log in order, until the page is full. Each costs a look at
   * what follows it in its topic, up to the next one that matches.
   */
  *#newestInOrder(selection: Selection, { after, until = this.#head, ...limits }: ReadOptions): Work<Page> {
    const end = Math.min(until, this.#head)
    const gaps = new GapSearch(this, selection)
    yield* gaps.begin(after)
    const page = new PageBuilder(limits)
    const { events } = page
    let position = after
    for (
      let event = this.order.after(after), looked = 0;
      event && event.sequence <= end;
      event = this.order.after(position)
    ) {
      gaps.advance(position)
      if (looked++ >= LOOKED_AT) return { events, ...gaps.result(position, true) }
      const isWanted =
        selection.hasTopic(event.topic) &&
        selection.hasType(event.type) &&
        !(yield* this.#hasNewer(event, selection, end))
      if (isWanted && !page.take(event)) return { events, ...gaps.result(position, true) }
      position = event.sequence
      yield
    }
    gaps.advance(position)
    return { events, ...gaps.result(Math.max(after, end), false) }
  }

  /** Whether the topic of an event has a newer one that matches, up to a sequence. */
  *#hasNewer({ topic, sequence }: StoredEvent, selection: Selection, end: number): Work<boolean> {
    const events = this.#topics.get(topic)?.events
    if (!events) return false
    for (let index = events.indexAfter(sequence); ; index = Math.max(index + 1, events.first)) {
      const event = events.at(index)
      if (!event || event.sequence > end) return false
      if (selection.hasType(event.type)) return true
      yield
    }
  }

  *#list({ prefix = '', after = '', limit }: TopicsOptions, accepts: (name: string) => boolean): Work<TopicsPage> {
    const first = new Smallest<TopicLog>(limit + 1, (a, b) => (a.name < b.name ? -1 : 1))
    for (const topic of this.#topics.values()) {
      const { name } = topic
      if (name > after && name.startsWith(prefix) && first.takes(topic) && accepts(name)) first.add(topic)
      yield
    }
    const topics = first.sorted()
    return {
      topics: topics
        .slice(0, limit)
        .map(statsOf)
        .filter((topic) => topic !== undefined),
      more: topics.length > limit,
    }
  }

  /**
   * Checks that events do not make more topics than there may be.
   * @throws HubError `too-many-topics`
   */
  #requireTopics(events: readonly NewEvent[]): void {
    const { topics: limit = Infinity } = this.#retention
    if (this.#topics.size + events.length <= limit) return
    const added = new Set<string>()
    for (const [index, event] of events.entries()) {
      const { topic, id } = event
      if (this.#topics.has(topic) || (id !== undefined && this.#remembered(topic, id) !== undefined)) continue
      if (this.#topics.size + added.add(topic).size > limit) throw tooManyTopics(event, index, limit)
    }
  }

  /**
   * Checks that there is room for publisher ids that are not remembered yet: those whose events are gone cannot be
   * trimmed.
   * @throws HubError `too-many-ids`
   */
  #requireRoomForIds(events: readonly NewEvent[]): void {
    if (this.#ids.orphanBytes <= IDS_PART * Math.max(this.#retention.bytes, UNCOUNTED)) return
    const index = events.findIndex(({ topic, id }) => id !== undefined && this.#remembered(topic, id) === undefined)
    if (index >= 0) throw tooManyIds(index)
  }

  /** A topic that has events, or is about to get its first. */
  #topic(name: string): TopicLog {
    let topic = this.#topics.get(name)
    if (!topic) {
      const { trimmed, trimmedAt } = this.trimmedOf(name)
      topic = { name, events: new EventQueue(), bytes: topicSize(name), trimmed, trimmedAt }
      this.#bytes += topic.bytes
      this.#topics.set(name, topic)
      this.#tree.set(name, topic)
      this.#emptied.delete(name)
    }
    return topic
  }

  #store(topic: TopicLog, event: KeptEvent, stored: StoredEvent[]): void {
    this.order.push(event)
    topic.events.push(event)
    if (event.id !== undefined) this.#ids.add(event.topic, event.id, event.sequence)
    this.#events++
    this.#bytes += event.size
    topic.bytes += event.size
    stored.push(event)
    if (topic.events.length > this.#retention.events) this.#trimOne(topic)
  }

  /** The sequence of the first event with a publisher's id, as long as it is remembered. */
  #remembered(topic: string, id: string): number | undefined {
    return this.#ids.find(topic, id, this.#clock.time)
  }

  #trimOne(topic: TopicLog): void {
    const event = topic.events.shift()
    if (!event) return
    this.order.delete(event.sequence)
    topic.trimmed = event.sequence
    topic.trimmedAt = ++this.trims
    this.marks.set(topic.name, topic.trimmed, topic.trimmedAt)
    this.newestTrimmed = Math.max(this.newestTrimmed, event.sequence)
    this.#events--
    this.#bytes -= event.size
    topic.bytes -= event.size
    if (event.id !== undefined) this.#orphan(event, event.id)
    if (topic.events.length === 0) this.#drop(topic)
  }

  /** An event is gone: its publisher's id is remembered until its window is over. */
  #orphan({ topic, sequence, time }: StoredEvent, id: string): void {
    const until = this.#clock.timeOf(sequence, time) + this.#retention.dedupWindow
    this.#ids.orphan(topic, id, sequence, { until, now: this.#clock.time })
  }

  /**
   * A topic has no events left: it is remembered how far it has been trimmed, as long as there are not too many such
   * topics.
   */
  #drop({ name }: TopicLog): void {
    this.#bytes -= topicSize(name)
    this.#topics.delete(name)
    this.#tree.delete(name)
    this.#emptied.add(name)
    const most = MARKS_PART * Math.max(this.#retention.bytes, UNCOUNTED)
    for (let n = 0; n < 2; n++)
      if (this.#emptied.size > REMEMBERED_TOPICS || this.marks.bytes > most) this.#forgetTopic()
  }

  /** Forgets of the topic that was emptied first how far it has been trimmed. */
  #forgetTopic(): void {
    const [oldest] = this.#emptied
    if (oldest === undefined) return
    this.#emptied.delete(oldest)
    this.forgotten = {
      trimmed: Math.max(this.forgotten.trimmed, this.marks.get(oldest)!.trimmed),
      trimmedAt: ++this.trims,
    }
    this.marks.delete(oldest)
  }

  #isTooOld({ sequence, time }: StoredEvent): boolean {
    return this.#clock.timeOf(sequence, time) < this.#clock.time - this.#retention.age
  }

  /**
   * Trims the oldest events until what the log takes is no more than what is kept: also what is kept beside the events.
   */
  #trimBytes(): void {
    for (
      let { oldest } = this.order;
      oldest && this.#bytes + this.#beside > this.#retention.bytes;
      { oldest } = this.order
    ) {
      this.#trimOne(this.#topics.get(oldest.topic)!)
    }
  }

  /** The bytes of ids without events, of marks, and of the tree of topic names, as far as they exceed `UNCOUNTED`. */
  get #beside(): number {
    return Math.max(0, this.#ids.orphanBytes + this.marks.bytes + this.#tree.branches * BRANCH_SIZE - UNCOUNTED)
  }
}

const TOPIC_OVERHEAD = 300
/** What a topic takes beside its place in the tree: its name, also as segments, its entry in a table, and its queue. */
function topicSize(name: string): number {
  return TOPIC_OVERHEAD + 2 * name.length
}

function* newestOf(
  events: EventQueue,
  selection: Selection,
  after: number,
  until: number,
): Work<StoredEvent | undefined> {
  for (let index = events.indexAfter(until) - 1; index >= events.first; index--) {
    const event = events.at(index)!
    if (event.sequence <= after) return undefined
    if (selection.hasType(event.type)) return event
    yield
  }
  return undefined
}

/** What there is of a topic; `undefined`: nothing any more. */
function statsOf({ name, events, bytes }: TopicLog): TopicStats | undefined {
  const { length, oldest, newest } = events
  return oldest && newest && { topic: name, events: length, bytes, first: oldest.sequence, last: newest.sequence }
}

class MemoryRecords implements Records {
  readonly #values = new Map<string, string>()

  get(key: string): unknown {
    const json = this.#values.get(key)
    return json === undefined ? undefined : JSON.parse(json)
  }

  list(prefix: string): { key: string; value: unknown }[] {
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort()
    return keys.map((key) => ({ key, value: this.get(key) }))
  }

  *walk(prefix: string): Generator<{ key: string; value: unknown }, undefined> {
    for (const key of this.#values.keys()) if (key.startsWith(prefix)) yield { key, value: this.get(key) }
  }

  async put(key: string, value: unknown): Promise<void> {
    this.#values.set(key, JSON.stringify(value))
  }

  async delete(key: string): Promise<void> {
    this.#values.delete(key)
  }
}
