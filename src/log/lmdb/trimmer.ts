/** Applies the retention: removes events in small steps, within the transactions of the writer. */
import { REMEMBERED_TOPICS, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { Change } from './change.js'
import { ExcessEvents } from './excess-events.js'
import { fromIndexEntry } from './index-entry.js'
import { OrphanIds } from './orphan-ids.js'
import type { State } from './state.js'
import { entriesOf, orphanIdBytes, usedBytes } from './table-stats.js'
import type { Tables } from './tables.js'
import type { Topic } from './topic.js'

/** Trimming precedes appends when the log has more than this many times the bytes that may be kept. */
const BEHIND = 1.1
/** The pages of the log may take this many times `Retention.bytes`, and `SMALL` more bytes. */
const SPARSE = 1.5
const SMALL = 1024 * 1024

export class Trimmer {
  readonly #tables: Tables
  readonly #state: State
  readonly #retention: Retention
  readonly #clock: SteadyClock
  readonly #excess: ExcessEvents
  readonly #orphanIds: OrphanIds
  /** The bytes of events that may be kept. */
  #limit: number
  /** Every event before this sequence belongs to a finite topic, as long as `finite.removals` has this value. */
  #passed = { sequence: 0, removals: 0 }
  /** The head at which all retained events belonged to finite topics. */
  #finiteOnlyAt = -1
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

  /** Whether events have to be indexed now so that they can be trimmed. */
  get needsIndex(): boolean {
    return this.#excess.needsIndex || this.isTooLarge
  }

  /** Returns the bytes of events that may be kept: fewer if trimming has left many pages partly empty. */
  #limitOfBytes(): number {
    const { bytes } = this.#retention
    const most = SPARSE * bytes + SMALL
    const used = usedBytes(this.#tables)
    return used > most ? Math.min(bytes, (this.#state.totals.bytes * most) / used) : bytes
  }

  /** Finds trims that are due by time or by pages. It reads the tables often, so transactions do not call it. */
  look(): void {
    this.#limit = this.#limitOfBytes()
    this.#state.orphanIdBytes = orphanIdBytes(this.#tables)
    this.#excess.beginAll()
    this.#tables.root.readerCheck() // frees the snapshots of killed processes, which would keep pages in use
    this.#lookAtOldest()
  }

  #lookAtOldest(): void {
    const { events, orphanIds, emptied } = this.#tables
    const oldest = this.#oldest()
    const [orphan] = orphanIds.getKeys({ limit: 1 })
    this.#hasOld =
      oldest !== undefined &&
      oldest <= this.#state.totals.indexed &&
      this.#isOld(oldest, events.view(oldest)?.time ?? 0)
    this.#hasOrphans = orphan !== undefined && orphan[0] <= this.#clock.time
    this.#hasForgettable = entriesOf(emptied) > REMEMBERED_TOPICS
  }

  /** Whether there are more topics without events than the log remembers. */
  get forgetsTopics(): boolean {
    return this.#hasForgettable
  }

  /** Whether events, ids or topics have to be removed. */
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

  /** Returns the number of events, ids and topics to remove now, at most `limit`. */
  due(limit: number): number {
    if (this.isTooLarge || this.#hasOld || this.#hasOrphans || this.#hasForgettable) return limit
    if (this.#excess.begins) this.#excess.begin()
    return this.#excess.ofDue(limit)
  }

  /** Whether the log exceeds the retention so much that trimming precedes appends. */
  get isBehind(): boolean {
    return this.#excess.isBehind || this.#state.totals.bytes > BEHIND * this.#limit
  }

  /** Whether the log has more bytes than may be kept. */
  get isTooLarge(): boolean {
    return this.#state.totals.bytes > this.#limit && this.#finiteOnlyAt !== this.#state.totals.head
  }

  /** Returns the sequence of the oldest event that may be trimmed. */
  #oldest(): number | undefined {
    const { finite } = this.#state
    if (this.#passed.removals !== finite.removals) this.#passed = { sequence: 0, removals: finite.removals }
    for (const sequence of this.#tables.events.keys({ start: this.#passed.sequence })) {
      const topic = this.#tables.events.view(sequence)?.topic
      if (topic === undefined || !finite.has(topic)) return sequence
      this.#passed.sequence = sequence + 1
    }
    return undefined
  }

  /**
   * Removes about `limit` events at most, and stores the steps of the clock. Call it within a transaction.
   * @returns a function to call once the transaction is durable
   */
  step(change: Change, limit: number): () => void {
    let left = limit
    const share = this.#excess.shareOf(limit)
    const done: string[] = []
    for (const name of this.#excess.due) {
      if (left <= 0) break
      const known = this.#state.topics.get(name)
      const topic = known && change.topic(name)
      // the minimum excludes events that this transaction has appended or purged
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

  /** Updates the excess of topics after a change has become the state. */
  changed(change: Change): void {
    for (const topic of change.topics) this.#excess.noticed(topic)
  }

  /**
   * Removes the oldest events of a topic, up to a sequence. Call it within a transaction.
   * @returns the number of removed events; less than `limit` if the index has no further ones
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
    const { finite } = this.#state
    let { bytes } = change.totals
    const start = this.#oldest()
    if (start === undefined) this.#finiteOnlyAt = this.#state.totals.head
    for (const sequence of start === undefined ? [] : events.keys({ start })) {
      if (due.length >= limit || !(sequence <= this.#state.totals.indexed)) break
      const event = events.view(sequence)
      if (event && finite.has(event.topic)) continue
      if (event && !this.#isOld(sequence, event.time) && bytes <= this.#limit) break
      due.push([sequence, event?.topic ?? this.#topicOf(sequence)])
      if (event) bytes -= events.size
    }
    for (const [sequence, name] of due) {
      const topic = name === undefined ? undefined : change.topic(name)
      if (topic) this.#remove(change, topic, sequence, index.get([topic.id, sequence]) ?? 0)
      else events.remove(sequence) // the event is damaged, and no topic has it
    }
    return due.length
  }

  /**
   * Returns whether an event exceeds the maximum age. On the log's clock, events age in the order of their sequences.
   */
  #isOld(sequence: number, time: number): boolean {
    return this.#clock.timeOf(sequence, time) < this.#clock.time - this.#retention.age
  }

  /** Returns the topic of a damaged event. */
  #topicOf(sequence: number): string | undefined {
    for (const { name, id } of this.#state.topics.values())
      if (this.#tables.index.doesExist([id, sequence])) return name
    return undefined
  }

  /** @param entry the value of the index entry of the event */
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
    }
  }
}
