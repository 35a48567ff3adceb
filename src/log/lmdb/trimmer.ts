/**
 * Retention: takes what is too much or too old out of the tables, a little at a time, inside somebody's transaction.
 */
import { REMEMBERED_TOPICS, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { Change } from './change.js'
import { ExcessEvents } from './excess-events.js'
import { fromIndexEntry } from './index-entry.js'
import { OrphanIds } from './orphan-ids.js'
import type { State } from './state.js'
import { orphanIdBytes, usedBytes } from './table-stats.js'
import type { Tables } from './tables.js'
import type { Topic } from './topic.js'

/** How many times the bytes that are kept the log may have before trimming comes first. */
const BEHIND = 1.1
/** How many times `Retention.bytes` the pages of the log may take, beside this many bytes. */
const SPARSE = 1.5
const SMALL = 1024 * 1024

export class Trimmer {
  readonly #tables: Tables
  readonly #state: State
  readonly #retention: Retention
  readonly #clock: SteadyClock
  readonly #excess: ExcessEvents
  readonly #orphanIds: OrphanIds
  /** How many bytes of events may be kept. */
  #limit: number
  #hasOld = false
  #hasOrphans = false
  #hasForgettable = false

  constructor(tables: Tables, state: State, retention: Retention, clock: SteadyClock) {
    this.#tables = tables
    this.#state = state
    this.#retention = retention
    this.#clock = clock
    this.#limit = retention.bytes
    this.#excess = new ExcessEvents(state, retention)
    this.#orphanIds = new OrphanIds(tables, state, clock, retention.dedupWindow)
  }

  /** Whether the index has to be written now, so that what is too much can be trimmed. */
  get needsIndex(): boolean {
    return this.#excess.needsIndex || this.isTooLarge
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
    this.#excess.beginAll()
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
      this.#excess.due.size > 0 ||
      this.#excess.begins ||
      this.isTooLarge ||
      this.#hasOld ||
      this.#hasOrphans ||
      this.#hasForgettable
    )
  }

  /** How many events, ids and topics are to be taken out now; no more than `limit`. */
  due(limit: number): number {
    if (this.isTooLarge || this.#hasOld || this.#hasOrphans || this.#hasForgettable) return limit
    if (this.#excess.begins) this.#excess.begin()
    return this.#excess.ofDue(limit)
  }

  /** Whether there is so much more than is kept that nothing should be added. */
  get isBehind(): boolean {
    return this.#excess.isBehind || this.#state.totals.bytes > BEHIND * this.#limit
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
    const share = this.#excess.shareOf(limit)
    const done: string[] = []
    for (const name of this.#excess.due) {
      if (left <= 0) break
      const known = this.#state.topics.get(name)
      const topic = known && change.topic(name)
      // what this transaction has appended waits until trimming begins again; what it has purged is gone
      const excess = topic ? Math.min(this.#excess.of(known), this.#excess.of(topic)) : 0
      const count = Math.min(excess, share, left)
      if (topic && count > 0) left -= this.#removeOldest(change, topic, Infinity, count)
      if (count >= excess) done.push(name)
    }
    if (left > 0 && (this.#hasOld || this.isTooLarge)) left -= this.#trimOldest(change, left)
    if (limit > 0 && this.#hasOrphans) this.#orphanIds.forgetExpired(change, Math.max(1, left))
    if (limit > 0 && this.#hasForgettable) this.#forgetTopics(change, Math.max(1, left))
    const hasSteps = this.#clock.isDirty
    if (hasSteps) this.#tables.meta.putSync('clock', this.#clock.steps)
    return () => {
      if (hasSteps) this.#clock.isDirty = false
      this.#excess.done(done)
      this.changed(change)
      if (this.#hasOld || this.#hasOrphans || this.#hasForgettable) this.#lookAtOldest()
    }
  }

  /** Says that a change has become the state. */
  changed(change: Change): void {
    for (const topic of change.changed) this.#excess.noticed(topic)
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
    if (event?.id !== undefined) this.#orphanIds.add(topic.name, sequence, event.id, event.time)
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
