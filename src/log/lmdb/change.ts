/** The change of the state by one transaction. */
import type { Trim } from '../log.js'
import { toIndexEntry, type Unindexed } from './index-entry.js'
import type { ForgottenTopic, State, StateUpdate } from './state.js'
import { unlessDamaged } from './store-error.js'
import type { Tables } from './tables.js'
import { sumOf, Topic, type TopicRow } from './topic.js'
import { toTotalsRow, type Totals } from './totals.js'

/**
 * The state as one transaction changes it. It holds copies, so a transaction that fails leaves the state as it was. The
 * transaction writes the change, and the change becomes the state once it is durable.
 */
export class Change implements StateUpdate {
  readonly totals: Totals
  /** Whether the transaction also changes records. */
  hasRecords = false
  readonly #state: State
  readonly #tables: Tables
  readonly #topics = new Map<string, Topic>()
  /** Topics whose rows this transaction writes. Opening the log counts the events that the other rows lack. */
  readonly #dirty = new Set<Topic>()
  /** The appended events, in order. */
  readonly appended: Unindexed[] = []
  /** The number of topics that gained their first event, minus those that lost their last one. */
  #added = 0
  /** The topics that have lost events. */
  readonly trimmed = new Set<Topic>()
  /** Topics without events whose trim marks this transaction drops. */
  readonly forgotten: ForgottenTopic[] = []
  /** The number of events that this transaction adds to the index. */
  indexed = 0
  /** The number of topic rows that were written. */
  written = 0
  /** The number of removed events, forgotten ids and forgotten topics. */
  removals = 0

  constructor(state: State, tables: Tables) {
    this.#state = state
    this.#tables = tables
    this.totals = { ...state.totals }
  }

  /** Returns the copy of a topic that this transaction changes; creates the topic if it does not exist. */
  topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      const known = this.#state.topics.get(name)
      topic = known ? known.copy() : this.#revive(name)
      this.#topics.set(name, topic)
    }
    return topic
  }

  /** The number of topics that have events. */
  get topicCount(): number {
    return this.#state.topics.size + this.#added
  }

  /** Whether a topic has events. */
  hasTopic(name: string): boolean {
    const topic = this.#topics.get(name) ?? this.#state.topics.get(name)
    return topic !== undefined && topic.events > 0
  }

  /** Returns the newest sequence of a topic; 0: it has no events. */
  newest(name: string): number {
    const topic = this.#topics.get(name) ?? this.#state.topics.get(name)
    return topic && topic.events > 0 ? topic.newest : 0
  }

  /**
   * Counts an event that was added to the events table.
   * @param size the space that the event takes in the file, in bytes
   */
  append(topic: Topic, sequence: number, size: number, hasId: boolean): void {
    if (topic.events === 0) this.#added++
    topic.events++
    topic.bytes += size
    topic.newest = sequence
    this.totals.events++
    this.totals.bytes += size
    this.appended.push({ sequence, topic: topic.name, recent: topic.recent, entry: toIndexEntry(size, hasId) })
  }

  /** Counts an event that was removed from the events table and the index. */
  trim(topic: Topic, sequence: number, size: number): void {
    topic.events--
    if (topic.events === 0) this.#added--
    topic.bytes = Math.max(0, topic.bytes - size)
    topic.trimmed = Math.max(topic.trimmed, sequence)
    this.trimmed.add(topic)
    this.totals.events--
    this.totals.bytes = Math.max(0, this.totals.bytes - size)
    this.totals.trimmed = Math.max(this.totals.trimmed, sequence)
    this.removals++
    this.#dirty.add(topic)
  }

  /** Counts a topic without events that was removed from the tables. */
  forget(topic: string, trimmed: number): void {
    this.totals.forgotten = Math.max(this.totals.forgotten, trimmed)
    this.forgotten.push({ name: topic, trimmed })
  }

  /** Adds up to `limit` events to the index: the oldest that it lacks. */
  index(limit: number): void {
    const due = this.#state.unindexed.slice(0, limit)
    for (const { sequence, topic: name, entry } of due) {
      const topic = this.topic(name)
      this.#tables.index.putSync([topic.id, sequence], entry)
      this.#dirty.add(topic)
    }
    this.indexed = due.length
    this.totals.indexed = due.at(-1)?.sequence ?? this.totals.indexed
  }

  /** Writes the change to the tables. Call it within the transaction. */
  write(): void {
    const { meta, topics, emptied, emptiedBySequence } = this.#tables
    this.totals.commits++
    meta.putSync('totals', toTotalsRow(this.totals))
    if (this.hasRecords) meta.putSync('records', this.#state.recordChanges + 1)
    this.written = this.#dirty.size
    for (const topic of this.#dirty) {
      if (topic.events > 0) {
        topics.putSync(topic.name, [
          topic.id,
          topic.events,
          topic.bytes,
          topic.newest,
          topic.trimmed,
          sumOf(topic.name),
        ] satisfies TopicRow)
      } else if (topic.trimmed > 0) {
        topics.removeSync(topic.name)
        emptied.putSync(topic.name, [topic.id, topic.trimmed])
        emptiedBySequence.putSync(topic.trimmed, topic.name)
      }
    }
  }

  /**
   * Makes the change the state. Call it once the transaction is durable.
   * @returns the trims of the transaction
   */
  apply(): readonly Trim[] {
    return this.#state.apply(this)
  }

  /** The topics that have changed. */
  get topics(): Iterable<Topic> {
    return this.#topics.values()
  }

  /** Creates a topic. A topic that had events before keeps its id and its trim mark. */
  #revive(name: string): Topic {
    const { emptied, emptiedBySequence } = this.#tables
    const gone = readEmptied(this.#tables, name)
    if (gone) {
      emptied.removeSync(name)
      emptiedBySequence.removeSync(gone[1])
    }
    const [id] = gone ?? [++this.totals.topicIds]
    const { trimmed, trimmedAt } = gone
      ? { trimmed: gone[1], trimmedAt: this.#state.trimmedOf(name).trimmedAt }
      : { trimmed: this.totals.forgotten, trimmedAt: this.#state.forgottenAt }
    const topic = new Topic(name, id)
    topic.trimmed = trimmed
    topic.trimmedAt = trimmedAt
    this.#dirty.add(topic)
    return topic
  }
}

/** Returns the id and the trim mark of a topic without events; `undefined` if the log does not know the topic. */
function readEmptied({ emptied, damage }: Tables, name: string): [id: number, trimmed: number] | undefined {
  return unlessDamaged(
    () => emptied.get(name),
    () => damage.report(`the trim mark of the topic ${name}`),
  )
}
