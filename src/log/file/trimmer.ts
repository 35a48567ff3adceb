/** Retention: takes what is too much or too old out of the tables, a little at a time, inside somebody's transaction. */
import { REMEMBERED_TOPICS, sizeOf, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { Change, State, Topic } from './state.js'
import { toEvent } from './rows.js'
import type { Tables } from './store.js'

/** How many times the events that are kept a topic may have before it is indexed and trimmed at once. */
const OVERFULL = 1.1

export class Trimmer {
  readonly #tables: Tables
  readonly #state: State
  readonly #retention: Retention
  readonly #clock: SteadyClock
  /** Topics that may have more events than are kept. */
  readonly #crowded = new Set<string>()
  /** Topics that have many more, of which some are not in the index. */
  readonly #overfull = new Set<string>()
  #hasOld = false
  #hasOrphans = false
  #hasForgettable = false

  constructor(tables: Tables, state: State, retention: Retention, clock: SteadyClock) {
    this.#tables = tables
    this.#state = state
    this.#retention = retention
    this.#clock = clock
    for (const topic of state.topics.values()) this.noticed(topic) // fewer may be kept than before
  }

  /** Says that a topic has changed. Only what is indexed can be trimmed. */
  noticed(topic: Topic): void {
    if (this.#excess(topic) > 0) this.#crowded.add(topic.name)
    else this.#crowded.delete(topic.name)
    if (topic.recent.length > 0 && topic.events > OVERFULL * this.#retention.events) this.#overfull.add(topic.name)
    else this.#overfull.delete(topic.name)
  }

  /** Whether the index has to be written now, so that what is too much can be trimmed. */
  get needsIndex(): boolean {
    return this.#overfull.size > 0 || this.isTooLarge
  }

  #excess({ events, recent }: Topic): number {
    return Math.min(events - this.#retention.events, events - recent.length)
  }

  /** Looks at what time alone makes due. It costs reads of the tables, so not every transaction does it. */
  look(): void {
    const { root, events, orphanIds, emptied } = this.#tables
    root.readerCheck() // a process that was reading and was killed would keep every page that it saw
    const [oldest] = events.getRange({ limit: 1 })
    const [orphan] = orphanIds.getKeys({ limit: 1 })
    this.#hasOld = oldest !== undefined && oldest.key <= this.#state.totals.indexed && this.#isOld(oldest.key, oldest.value[1])
    this.#hasOrphans = orphan !== undefined && orphan[0] <= this.#clock.time
    this.#hasForgettable = (emptied.getStats() as { entryCount: number }).entryCount > REMEMBERED_TOPICS
  }

  /** Whether there is something to take out. */
  get isDue(): boolean {
    return this.#crowded.size > 0 || this.isTooLarge || this.#hasOld || this.#hasOrphans || this.#hasForgettable
  }

  /** Whether the whole log has more bytes than are kept. */
  get isTooLarge(): boolean {
    return this.#state.totals.bytes > this.#retention.bytes
  }

  /**
   * Takes out at most about `limit` events; within a transaction.
   * @returns what to do once the transaction is durable
   */
  step(change: Change, limit: number): () => void {
    let left = limit
    for (const name of this.#crowded) {
      if (left <= 0) break
      left -= this.#trimTopic(change, change.topic(name), left)
    }
    if (this.#hasOld || this.isTooLarge) left -= this.#trimOldest(change, left)
    if (this.#hasOrphans) this.#forgetIds(Math.max(1, left))
    if (this.#hasForgettable) this.#forgetTopics(change, Math.max(1, left))
    const hasSteps = this.#clock.isDirty
    if (hasSteps) this.#tables.meta.putSync('clock', this.#clock.steps)
    return () => {
      if (hasSteps) this.#clock.isDirty = false
      for (const topic of change.changed) this.noticed(topic)
      if (this.#hasOld || this.#hasOrphans || this.#hasForgettable) this.look()
    }
  }

  /**
   * Takes out the oldest events of a topic, up to a sequence; within a transaction.
   * @returns how many that were; fewer than `limit` when no further one is in the index
   */
  purge(change: Change, topic: Topic, until: number, limit: number): number {
    return this.#removeOldest(change, topic, Math.min(until, this.#state.totals.indexed), limit)
  }

  #trimTopic(change: Change, topic: Topic, limit: number): number {
    const count = Math.min(this.#excess(topic), limit)
    return count <= 0 ? 0 : this.#removeOldest(change, topic, Infinity, count)
  }

  #removeOldest(change: Change, topic: Topic, until: number, limit: number): number {
    const oldest = [...this.#tables.index.getRange({ start: [topic.id, 0], end: [topic.id, until + 1], limit })]
    for (const { key: [, sequence], value: size } of oldest) this.#remove(change, topic, sequence, size)
    return oldest.length
  }

  #trimOldest(change: Change, limit: number): number {
    const due: [number, string][] = []
    let { bytes } = change.totals
    for (const { key, value } of this.#tables.events.getRange()) {
      if (due.length >= limit || key > this.#state.totals.indexed || (!this.#isOld(key, value[1]) && bytes <= this.#retention.bytes)) break
      due.push([key, value[0]])
      bytes -= sizeOf(toEvent(key, value))
    }
    for (const [sequence, name] of due) this.#remove(change, change.topic(name), sequence, 0)
    return due.length
  }

  /** Whether an event is older than events may be. The newer an event is, the younger it is by this clock. */
  #isOld(sequence: number, time: number): boolean {
    return this.#clock.timeOf(sequence, time) < this.#clock.time - this.#retention.age
  }

  /** @param size the event's, or 0 when it has to be looked at */
  #remove(change: Change, topic: Topic, sequence: number, size: number): void {
    const { events, index } = this.#tables
    const row = size > 0 ? undefined : events.get(sequence)
    const event = row && toEvent(sequence, row)
    index.removeSync([topic.id, sequence])
    events.removeSync(sequence)
    change.trim(topic, sequence, event ? sizeOf(event) : size)
    if (event?.id !== undefined) this.#orphan(topic.name, sequence, event.id, event.time)
  }

  /** An event is gone: its publisher's id is remembered until its window is over, whatever becomes of the topic. */
  #orphan(topic: string, sequence: number, id: string, time: number): void {
    const { ids, orphanIds } = this.#tables
    const until = this.#clock.timeOf(sequence, time) + this.#retention.dedupWindow
    if (until > this.#clock.time) orphanIds.putSync([until, topic, id], sequence)
    else if (ids.get([topic, id])?.[0] === sequence) ids.removeSync([topic, id])
  }

  /** Forgets publisher ids whose events are gone and whose window is over. */
  #forgetIds(limit: number): void {
    const { ids, orphanIds } = this.#tables
    for (const { key, value } of [...orphanIds.getRange({ end: [this.#clock.time, '', ''], limit })]) {
      const [, topic, id] = key
      orphanIds.removeSync(key)
      if (ids.get([topic, id])?.[0] === value) ids.removeSync([topic, id]) // else it has been published anew
    }
  }

  #forgetTopics(change: Change, limit: number): void {
    const { emptied, emptiedBySequence } = this.#tables
    for (const { key, value } of [...emptiedBySequence.getRange({ limit })]) {
      emptied.removeSync(value)
      emptiedBySequence.removeSync(key)
      change.forget(value, key)
    }
  }
}
