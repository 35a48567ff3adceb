/**
 * Retention: takes what is too much or too old out of the tables, a little at a time, inside somebody's transaction.
 */
import { REMEMBERED_TOPICS, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { Change } from './change.js'
import { fromIndexEntry } from './index-entry.js'
import { orphanIdBytes, usedBytes } from './pages.js'
import { idSize } from './rows.js'
import type { State } from './state.js'
import { StoreError } from './store-error.js'
import type { Tables } from './tables.js'
import type { Topic } from './topic.js'

/** How many times the events that are kept a topic may have before it is indexed and trimmed at once. */
const OVERFULL = 1.1

/**
 * Topics are trimmed together: the oldest events of topics that are published to alike lie next to each other, where
 * one page has many of them, and so do the events of one topic in the index. Trimming begins when a topic has so many
 * more `events` than are kept, or that `share` of them, or when `total` are too many and `average` of each topic.
 * Topics with `few` go along.
 */
const BATCH = { events: 50, share: 1 / 20, total: 1_200, average: 12, few: 8 }
/** A topic gives at least so many at once. */
const MIN_SHARE = 10

/** How many times the bytes that are kept the log may have before trimming comes first. */
const BEHIND = 1.1
/** So it is when a topic has twice the events that are kept, and as many as this. */
const BEHIND_EVENTS = 1_000
/** How many times `Retention.bytes` the pages of the log may take, beside this many bytes. */
const SPARSE = 1.5
const SMALL = 1024 * 1024

export class Trimmer {
  readonly #tables: Tables
  readonly #state: State
  readonly #retention: Retention
  readonly #clock: SteadyClock
  /** With how many more events than are kept trimming begins, and with how many a topic goes along. */
  readonly #batch: number
  readonly #few: number
  /** Topics that are being trimmed: each until it has given what it had too much when a transaction began. */
  readonly #due = new Set<string>()
  /** Topics that go along when trimming begins, with how many more events they have. */
  readonly #ready = new Map<string, number>()
  /** How many more events these topics have. */
  #readyEvents = 0
  /** Whether one of them has reached `#batch`. */
  #isFull = false
  /** Topics that have a few more, and are trimmed after the next look. */
  readonly #crowded = new Set<string>()
  /** Topics that have many more, of which some are not in the index. */
  readonly #overfull = new Set<string>()
  /** How many bytes of events may be kept. */
  #limit: number
  /** Topics that have so many more events than are kept that nothing should be added. */
  readonly #behind = new Set<string>()
  #hasOld = false
  #hasOrphans = false
  #hasForgettable = false

  constructor(tables: Tables, state: State, retention: Retention, clock: SteadyClock) {
    this.#tables = tables
    this.#state = state
    this.#retention = retention
    this.#clock = clock
    this.#limit = retention.bytes
    this.#batch = Math.max(1, Math.min(BATCH.events, Math.floor(retention.events * BATCH.share)))
    this.#few = Math.min(BATCH.few, this.#batch)
    for (const topic of state.topics.values()) this.noticed(topic) // fewer may be kept than before
  }

  /** Says that a topic has changed. Only what is indexed can be trimmed. */
  noticed(topic: Topic): void {
    this.#noticeExcess(topic.name, this.#excess(topic))
    if (topic.recent.length > 0 && topic.events > OVERFULL * this.#retention.events) this.#overfull.add(topic.name)
    else this.#overfull.delete(topic.name)
    if (topic.events > BEHIND_EVENTS + 2 * this.#retention.events) this.#behind.add(topic.name)
    else this.#behind.delete(topic.name)
  }

  /** Whether the index has to be written now, so that what is too much can be trimmed. */
  get needsIndex(): boolean {
    return this.#overfull.size > 0 || this.isTooLarge
  }

  #noticeExcess(name: string, excess: number): void {
    if (excess <= 0) this.#due.delete(name)
    if (this.#due.has(name)) return
    const isReady = excess >= this.#few
    this.#readyEvents += (isReady ? excess : 0) - (this.#ready.get(name) ?? 0)
    if (isReady) this.#ready.set(name, excess)
    else this.#ready.delete(name)
    if (excess > 0 && !isReady) this.#crowded.add(name)
    else this.#crowded.delete(name)
    this.#isFull ||= excess >= this.#batch
  }

  /** Whether topics should be trimmed that are not being trimmed yet. */
  get #begins(): boolean {
    return (
      this.#due.size === 0 &&
      (this.#isFull || this.#readyEvents >= Math.max(BATCH.total, BATCH.average * this.#ready.size))
    )
  }

  /** Has all topics trimmed that have more than a few events too much. */
  #begin(): void {
    for (const name of this.#ready.keys()) this.#due.add(name)
    this.#ready.clear()
    this.#readyEvents = 0
    this.#isFull = false
  }

  #excess({ events, recent }: Topic): number {
    return Math.min(events - this.#retention.events, events - recent.length)
  }

  /**
   * How many bytes of events may be kept. Pages of which trimming has left a part take more than their events: where
   * that is much, fewer are kept.
   */
  #limitOfBytes(): number {
    const { bytes } = this.#retention
    const most = SPARSE * bytes + SMALL
    const used = usedBytes(this.#tables)
    return used > most ? Math.min(bytes, (this.#state.totals.bytes * most) / used) : bytes
  }

  /**
   * Looks at what time alone makes due, and at the pages. It costs many reads of the tables, so no transaction does it.
   */
  look(): void {
    this.#limit = this.#limitOfBytes()
    this.#state.orphanIdBytes = orphanIdBytes(this.#tables)
    if (this.#due.size === 0) {
      this.#begin()
      for (const name of this.#crowded) this.#due.add(name)
      this.#crowded.clear()
    }
    this.#tables.root.readerCheck() // a process that was reading and was killed would keep every page that it saw
    this.#lookAtOldest()
  }

  #lookAtOldest(): void {
    const { events, orphanIds, emptied } = this.#tables
    const [oldest] = events.keys({ limit: 1 })
    const [orphan] = orphanIds.getKeys({ limit: 1 })
    this.#hasOld =
      oldest !== undefined &&
      oldest <= this.#state.totals.indexed &&
      this.#isOld(oldest, events.view(oldest)?.time ?? 0)
    this.#hasOrphans = orphan !== undefined && orphan[0] <= this.#clock.time
    this.#hasForgettable = (emptied.getStats() as { entryCount: number }).entryCount > REMEMBERED_TOPICS
  }

  /** Whether topics without events are to be forgotten. */
  get forgetsTopics(): boolean {
    return this.#hasForgettable
  }

  /** Whether there is something to take out. */
  get isDue(): boolean {
    return (
      this.#due.size > 0 || this.#begins || this.isTooLarge || this.#hasOld || this.#hasOrphans || this.#hasForgettable
    )
  }

  /** How many events, ids and topics are to be taken out now; no more than `limit`. */
  due(limit: number): number {
    if (this.isTooLarge || this.#hasOld || this.#hasOrphans || this.#hasForgettable) return limit
    if (this.#begins) this.#begin()
    return this.#excessOfDue(limit)
  }

  /** How many more events topics that are due have than are kept; `limit`: that many or more. */
  #excessOfDue(limit: number): number {
    let count = 0
    for (const name of this.#due) {
      if (count >= limit) return limit
      const topic = this.#state.topics.get(name)
      if (topic) count += Math.max(0, this.#excess(topic))
    }
    return Math.min(count, limit)
  }

  /** Whether there is so much more than is kept that nothing should be added. */
  get isBehind(): boolean {
    return this.#behind.size > 0 || this.#state.totals.bytes > BEHIND * this.#limit
  }

  /** Whether the whole log has more bytes than are kept. */
  get isTooLarge(): boolean {
    return this.#state.totals.bytes > this.#limit
  }

  /**
   * Takes out at most about `limit` events; within a transaction. With 0 it only notes what the clock has to remember.
   * @returns what to do once the transaction is durable
   */
  step(change: Change, limit: number): () => void {
    let left = limit
    const share =
      this.#excessOfDue(limit + 1) <= limit ? Infinity : Math.max(MIN_SHARE, Math.ceil(limit / this.#due.size))
    const done: string[] = []
    for (const name of this.#due) {
      if (left <= 0) break
      const known = this.#state.topics.get(name)
      const topic = known && change.topic(name)
      // what this transaction has appended waits until trimming begins again; what it has purged is gone
      const excess = topic ? Math.min(this.#excess(known), this.#excess(topic)) : 0
      const count = Math.min(excess, share, left)
      if (topic && count > 0) left -= this.#removeOldest(change, topic, Infinity, count)
      if (count >= excess) done.push(name)
    }
    if (left > 0 && (this.#hasOld || this.isTooLarge)) left -= this.#trimOldest(change, left)
    if (limit > 0 && this.#hasOrphans) this.#forgetIds(change, Math.max(1, left))
    if (limit > 0 && this.#hasForgettable) this.#forgetTopics(change, Math.max(1, left))
    const hasSteps = this.#clock.isDirty
    if (hasSteps) this.#tables.meta.putSync('clock', this.#clock.steps)
    return () => {
      if (hasSteps) this.#clock.isDirty = false
      for (const name of done) this.#due.delete(name)
      this.changed(change)
      if (this.#hasOld || this.#hasOrphans || this.#hasForgettable) this.#lookAtOldest()
    }
  }

  /** Says that a change has become the state. */
  changed(change: Change): void {
    for (const topic of change.changed) this.noticed(topic)
  }

  /**
   * Takes out the oldest events of a topic, up to a sequence; within a transaction.
   * @returns how many that were; fewer than `limit` when no further one is in the index
   */
  purge(change: Change, topic: Topic, until: number, limit: number): number {
    return this.#removeOldest(change, topic, Math.min(until, this.#state.totals.indexed), limit)
  }

  #removeOldest(change: Change, topic: Topic, until: number, limit: number): number {
    const oldest = [...this.#tables.index.getRange({ start: [topic.id, 0], end: [topic.id, until + 1], limit })]
    for (const {
      key: [, sequence],
      value,
    } of oldest)
      this.#remove(change, topic, sequence, value)
    return oldest.length
  }

  #trimOldest(change: Change, limit: number): number {
    const { events, index } = this.#tables
    const due: [sequence: number, topic: string | undefined][] = []
    let { bytes } = change.totals
    for (const sequence of events.keys()) {
      if (due.length >= limit || !(sequence <= this.#state.totals.indexed)) break
      const event = events.view(sequence)
      if (event && !this.#isOld(sequence, event.time) && bytes <= this.#limit) break
      due.push([sequence, event?.topic ?? this.#topicOf(sequence)])
      if (event) bytes -= events.size
    }
    for (const [sequence, name] of due) {
      const topic = name === undefined ? undefined : change.topic(name)
      if (topic) this.#remove(change, topic, sequence, index.get([topic.id, sequence]) ?? 0)
      else events.remove(sequence) // damaged, and of no topic
    }
    return due.length
  }

  /** Whether an event is older than events may be. The newer an event is, the younger it is by this clock. */
  #isOld(sequence: number, time: number): boolean {
    return this.#clock.timeOf(sequence, time) < this.#clock.time - this.#retention.age
  }

  /** The topic of an event that is damaged. */
  #topicOf(sequence: number): string | undefined {
    for (const { name, id } of this.#state.topics.values())
      if (this.#tables.index.doesExist([id, sequence])) return name
    return undefined
  }

  /** @param entry the value of the event's index entry */
  #remove(change: Change, topic: Topic, sequence: number, entry: number): void {
    const { events, index } = this.#tables
    const { size, hasId } = fromIndexEntry(entry)
    const event = hasId ? events.view(sequence) : undefined
    index.removeSync([topic.id, sequence])
    events.remove(sequence)
    change.trim(topic, sequence, size)
    if (event?.id !== undefined) this.#orphan(topic.name, sequence, event.id, event.time)
  }

  /** An event is gone: its publisher's id is remembered until its window is over, whatever becomes of the topic. */
  #orphan(topic: string, sequence: number, id: string, time: number): void {
    const { orphanIds } = this.#tables
    const until = this.#clock.timeOf(sequence, time) + this.#retention.dedupWindow
    if (until > this.#clock.time) {
      orphanIds.putSync([until, topic, id], sequence)
      this.#state.orphanIdBytes += idSize(topic, id)
    } else this.#forgetId(topic, id, sequence)
  }

  /** Forgets publisher ids whose events are gone and whose window is over. */
  #forgetIds(change: Change, limit: number): void {
    const { orphanIds } = this.#tables
    for (const key of [...orphanIds.getKeys({ end: [this.#clock.time, '', ''], limit })]) {
      const [, topic, id] = key
      const sequence = readable(() => orphanIds.get(key))
      orphanIds.removeSync(key)
      change.removals++
      if (sequence !== undefined) this.#forgetId(topic, id, sequence)
    }
  }

  /** Forgets a publisher's id, unless it has been published anew. */
  #forgetId(topic: string, id: string, sequence: number): void {
    const { ids } = this.#tables
    const first = readable(() => ids.get([topic, id]))
    if (first === undefined || first[0] === sequence) ids.removeSync([topic, id])
  }

  #forgetTopics(change: Change, limit: number): void {
    const { emptied, emptiedBySequence } = this.#tables
    for (const { key, value: name } of [...emptiedBySequence.getRange({ limit })]) {
      emptied.removeSync(name)
      emptiedBySequence.removeSync(key)
      change.forget(name, key)
      change.removals++
      change.forgotten++
    }
  }
}

/** What is read; `undefined` when it is damaged: then there is nothing to keep. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (err) {
    if (err instanceof StoreError) return undefined
    throw err
  }
}
