/** A log in memory: for tests, and for hubs that keep nothing beyond their own life. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import TinyQueue from 'tinyqueue'
import { drawEpoch } from '../hub/cursor.js'
import type { NewEvent, StoredEvent } from '../hub/event.js'
import type { Selection } from '../hub/selection.js'
import { EventQueue } from './event-queue.js'
import { REMEMBERED_TOPICS, sizeOf, type Appended, type EventLog, type FollowListener, type LogStats, type NewestWanted, type Page, type ReadOptions, type Records, type Retention, type Shown, type Span, type TopicsOptions, type TopicsPage, type TopicStats } from './log.js'
import { PageBuilder } from './page-builder.js'

/** How often age and publisher ids are looked at, in milliseconds. */
const TRIM_INTERVAL = 1_000
/** How many events one step of trimming may take, so that an append never waits long. */
const TRIM_STEP = 1_000
/** How far something has been trimmed. */
interface Trimmed {
  /** The newest sequence that has been trimmed; 0: none. */
  trimmed: number
  /** What `trims` was when that was. */
  trimmedAt: number
}

interface TopicLog extends Trimmed {
  name: string
  events: EventQueue
  bytes: number
  /** The publishers' ids that are remembered, oldest first. */
  ids: Map<string, { sequence: number; time: number }>
  /** Whether `#byAge` has an entry for it. */
  queued: boolean
}

/** A topic and the sequence that its oldest event had when it was queued. */
interface Oldest {
  sequence: number
  topic: TopicLog
}

export class MemoryLog implements EventLog {
  readonly epoch = drawEpoch()
  readonly failure = undefined
  trims = 0
  readonly records: Records = new MemoryRecords()
  #head = 0
  #events = 0
  #bytes = 0
  readonly #retention: Retention
  readonly #now: () => number
  readonly #topics = new Map<string, TopicLog>()
  readonly #followers = new Set<FollowListener>()
  /** What the followers are being told, and what was appended meanwhile. */
  readonly #untold: StoredEvent[][] = []
  /** Every topic that has events, the one with the oldest event first. An entry whose event is gone is put back in its place when it comes up. */
  readonly #byAge = new TinyQueue<Oldest>([], (a, b) => a.sequence - b.sequence)
  /** Topics that have no events left, in the order in which they were emptied. */
  readonly #emptied = new Map<string, Trimmed>()
  /** The newest of what `#emptied` had to forget. */
  #forgotten: Trimmed = { trimmed: 0, trimmedAt: 0 }
  /** The newest sequence that was trimmed of any topic. */
  #trimmed = 0
  #tidying = this.#topics.values()
  readonly #timer: NodeJS.Timeout

  /** @param now the clock, in milliseconds; for tests */
  constructor(retention: Retention, now: () => number = Date.now) {
    this.#retention = retention
    this.#now = now
    this.#timer = setInterval(() => this.trim(), TRIM_INTERVAL).unref()
  }

  get head(): number {
    return this.#head
  }

  async append(events: readonly NewEvent[]): Promise<Appended[]> {
    const time = this.#now()
    const stored: StoredEvent[] = []
    const appended = events.map((event): Appended => {
      const topic = this.#topic(event.topic)
      const first = event.id === undefined ? undefined : this.#remembered(topic, event.id, time)
      if (first !== undefined) return { sequence: first, duplicate: true }
      const sequence = ++this.#head
      const { type, id, kind, payload } = event
      this.#store(topic, { sequence, time, topic: event.topic, type, id, kind, payload }, stored)
      return { sequence, duplicate: false }
    })
    this.#trimBytes()
    if (stored.length > 0) this.#tell(stored)
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
    return { events: page.events, ...this.#show(selection, options, (event) => page.take(event)) }
  }

  async show(selection: Selection, span: Span, see: (event: StoredEvent) => boolean): Promise<Shown> {
    return this.#show(selection, span, see)
  }

  #show(selection: Selection, { after, until = this.#head }: Span, see: (event: StoredEvent) => boolean): Shown {
    const gap = this.hasTrimmed(selection, after)
    const cursors = this.#selected(selection)
      .map((topic) => ({ events: topic.events, index: topic.events.indexAfter(after) }))
      .filter(({ events, index }) => index < events.length)
    const next = (cursor: { events: EventQueue; index: number }) => cursor.events.at(cursor.index)!
    const merge = new TinyQueue(cursors, (a, b) => next(a).sequence - next(b).sequence)
    let position = after
    for (let cursor = merge.pop(); cursor; cursor = merge.pop()) {
      const event = next(cursor)
      if (event.sequence > until) break
      if (selection.hasType(event.type) && !see(event)) return { position, more: true, gap }
      position = event.sequence
      if (++cursor.index < cursor.events.length) merge.push(cursor)
    }
    return { position: Math.max(after, until), more: false, gap }
  }

  async before(selection: Selection, count: number, newestWanted: NewestWanted = (_topic, sequence) => sequence): Promise<number> {
    if (count === 0) return this.#head
    interface Cursor {
      name: string
      events: EventQueue
      index: number
    }
    /** Goes to the newest event that is wanted, from the one at `index` backwards. */
    const moveTo = (cursor: Cursor, index: number): boolean => {
      cursor.index = index
      for (let event = cursor.events.at(cursor.index); cursor.index >= 0 && event; event = cursor.events.at(cursor.index)) {
        const wanted = newestWanted(cursor.name, event.sequence)
        if (wanted === event.sequence) return true
        cursor.index = cursor.events.indexAfter(wanted) - 1
      }
      return false
    }
    const cursors = this.#selected(selection)
      .map(({ name, events }): Cursor => ({ name, events, index: 0 }))
      .filter((cursor) => moveTo(cursor, cursor.events.length - 1))
    const next = (cursor: Cursor) => cursor.events.at(cursor.index)!
    const merge = new TinyQueue(cursors, (a, b) => next(b).sequence - next(a).sequence)
    let found = 0
    for (let cursor = merge.pop(); cursor; cursor = merge.pop()) {
      const event = next(cursor)
      if (selection.hasType(event.type) && ++found === count) return event.sequence - 1
      if (moveTo(cursor, cursor.index - 1)) merge.push(cursor)
    }
    return 0
  }

  async newest(selection: Selection, { after, until = this.#head, ...limits }: ReadOptions): Promise<Page> {
    const end = Math.min(until, this.#head)
    const gap = this.hasTrimmed(selection, after)
    const newest = this.#selected(selection)
      .map(({ events }) => newestOf(events, selection, after, end))
      .filter((event) => event !== undefined)
      .sort((a, b) => a.sequence - b.sequence)
    const page = new PageBuilder(limits)
    const { events } = page
    const more = newest.some((event) => !page.take(event))
    return { events, position: more ? (events.at(-1)?.sequence ?? after) : Math.max(after, end), more, gap }
  }

  async topic(name: string): Promise<TopicStats | undefined> {
    const topic = this.#topics.get(name)
    return topic && statsOf(topic)
  }

  async topics({ prefix = '', after = '', limit }: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    // of all that are meant only the first are kept, the last of them on top
    const first = new TinyQueue<TopicStats>([], (a, b) => (a.topic < b.topic ? 1 : -1))
    for (const topic of this.#topics.values()) {
      const { name } = topic
      if (name <= after || !name.startsWith(prefix)) continue
      if (first.length > limit && name > first.peek()!.topic) continue
      const stats = statsOf(topic)
      if (!stats || !accepts(name)) continue
      first.push(stats)
      if (first.length > limit + 1) first.pop()
    }
    const topics = first.data.sort((a, b) => (a.topic < b.topic ? -1 : 1))
    return { topics: topics.slice(0, limit), more: topics.length > limit }
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

  hasTrimmed(selection: Selection, after: number, since = -1): boolean {
    if (after >= this.#trimmed) return false
    const isGone = ({ trimmed, trimmedAt }: Trimmed) => trimmed > after && trimmedAt > since
    if (selection.topics.some((name) => isGone(this.#topics.get(name) ?? this.#emptied.get(name) ?? this.#forgotten))) return true
    if (selection.wildcards.length === 0) return false
    if (isGone(this.#forgotten)) return true
    for (const topic of this.#topics.values()) if (isGone(topic) && selection.hasTopic(topic.name)) return true
    for (const [name, trimmed] of this.#emptied) if (isGone(trimmed) && selection.hasTopic(name)) return true
    return false
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

  /** Trims what is too old, and the publisher ids whose time is over. Runs by itself; returns whether there is more to do. */
  trim(): boolean {
    const tooOld = this.#now() - this.#retention.age
    let steps = 0
    for (let topic = this.#oldestTopic(); topic && topic.events.oldest!.time < tooOld; topic = this.#oldestTopic()) {
      if (++steps > TRIM_STEP) {
        setImmediate(() => this.trim())
        return true
      }
      this.#trimOne(topic)
    }
    this.#tidy()
    return false
  }

  /** Looks at some of the topics, in turn: forgets publisher ids, and topics that have nothing left. */
  #tidy(): void {
    for (let steps = 0; steps < TRIM_STEP; steps++) {
      const next = this.#tidying.next()
      if (next.done) {
        this.#tidying = this.#topics.values()
        return
      }
      if (next.value.ids.size > 0) this.#forgetIds(next.value)
      this.#dropIfEmpty(next.value)
    }
  }

  #topic(name: string): TopicLog {
    let topic = this.#topics.get(name)
    if (!topic) {
      const { trimmed, trimmedAt } = this.#emptied.get(name) ?? this.#forgotten
      topic = { name, events: new EventQueue(), bytes: 0, trimmed, trimmedAt, ids: new Map(), queued: false }
      this.#topics.set(name, topic)
      this.#emptied.delete(name)
    }
    return topic
  }

  /** The topics of a selection that are there. */
  #selected(selection: Selection): TopicLog[] {
    if (selection.wildcards.length > 0) return [...this.#topics.values()].filter((topic) => selection.hasTopic(topic.name))
    return selection.topics.map((name) => this.#topics.get(name)).filter((topic) => topic !== undefined)
  }

  #store(topic: TopicLog, event: StoredEvent, stored: StoredEvent[]): void {
    topic.events.push(event)
    if (event.id !== undefined) topic.ids.set(event.id, { sequence: event.sequence, time: event.time })
    if (!topic.queued) {
      topic.queued = true
      this.#byAge.push({ sequence: event.sequence, topic })
    }
    const size = sizeOf(event)
    this.#events++
    this.#bytes += size
    topic.bytes += size
    stored.push(event)
    if (topic.events.length > this.#retention.events) this.#trimOne(topic)
  }

  #remembered(topic: TopicLog, id: string, time: number): number | undefined {
    const first = topic.ids.get(id)
    if (!first) return undefined
    if (first.sequence > topic.trimmed || time - first.time < this.#retention.dedupWindow) return first.sequence
    topic.ids.delete(id)
    return undefined
  }

  /** Forgets publisher ids whose events are trimmed and whose window is over. */
  #forgetIds(topic: TopicLog): void {
    const over = this.#now() - this.#retention.dedupWindow
    for (const [id, { sequence, time }] of topic.ids) {
      if (sequence > topic.trimmed || time > over) break
      topic.ids.delete(id)
    }
  }

  #trimOne(topic: TopicLog): void {
    const event = topic.events.shift()
    if (!event) return
    topic.trimmed = event.sequence
    topic.trimmedAt = ++this.trims
    this.#trimmed = Math.max(this.#trimmed, event.sequence)
    const size = sizeOf(event)
    this.#events--
    this.#bytes -= size
    topic.bytes -= size
    if (topic.ids.size > 0) this.#forgetIds(topic)
  }

  #trimBytes(): void {
    while (this.#bytes > this.#retention.bytes) {
      const topic = this.#oldestTopic()
      if (!topic) return
      this.#trimOne(topic)
    }
  }

  /** The topic that has the oldest event of all. */
  #oldestTopic(): TopicLog | undefined {
    for (let entry = this.#byAge.peek(); entry; entry = this.#byAge.peek()) {
      const oldest = entry.topic.events.oldest
      if (oldest?.sequence === entry.sequence) return entry.topic
      this.#byAge.pop()
      if (oldest) this.#byAge.push({ sequence: oldest.sequence, topic: entry.topic })
      else entry.topic.queued = false
    }
    return undefined
  }

  #dropIfEmpty(topic: TopicLog): void {
    if (topic.events.length > 0 || topic.ids.size > 0 || topic.queued) return
    this.#topics.delete(topic.name)
    this.#emptied.set(topic.name, { trimmed: topic.trimmed, trimmedAt: topic.trimmedAt })
    if (this.#emptied.size > REMEMBERED_TOPICS) {
      const [name, { trimmed }] = this.#emptied.entries().next().value!
      this.#emptied.delete(name)
      this.#forgotten = { trimmed: Math.max(this.#forgotten.trimmed, trimmed), trimmedAt: ++this.trims }
    }
  }
}

function newestOf(events: EventQueue, selection: Selection, after: number, until: number): StoredEvent | undefined {
  for (let index = events.indexAfter(until) - 1; index >= 0; index--) {
    const event = events.at(index)!
    if (event.sequence <= after) return undefined
    if (selection.hasType(event.type)) return event
  }
  return undefined
}

/** What there is of a topic; `undefined`: nothing but what is remembered of it. */
function statsOf({ name, events, bytes }: TopicLog): TopicStats | undefined {
  const { length, oldest } = events
  return oldest && { topic: name, events: length, bytes, first: oldest.sequence, last: events.at(length - 1)!.sequence }
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

  async put(key: string, value: unknown): Promise<void> {
    this.#values.set(key, JSON.stringify(value))
  }

  async delete(key: string): Promise<void> {
    this.#values.delete(key)
  }
}
