/** The state of an LMDB log in memory: the totals, and every topic that has events. */
import type { Transaction } from 'lmdb'
import { FiniteNames } from '../finite-names.js'
import { TopicTree } from '../topic-tree.js'
import { FINITE_PREFIX, NO_TRIMS, type Trim } from '../log.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import { toIndexEntry, type Unindexed } from './index-entry.js'
import { StoreError } from './store-error.js'
import { entriesOf } from './table-stats.js'
import type { Tables } from './tables.js'
import { sumOf, Topic } from './topic.js'
import { commitsOf, toTotals, type Totals, type TotalsRow } from './totals.js'

/** The change of the state by one transaction. */
export interface StateUpdate {
  readonly totals: Totals
  /** Whether the transaction has changed records. */
  readonly hasRecords: boolean
  /** The number of the oldest unindexed events that the transaction has added to the index. */
  readonly indexed: number
  /** The appended events, in order. */
  readonly appended: readonly Unindexed[]
  /** The topics that have lost events. */
  readonly trimmed: Iterable<Topic>
  /** The topics without events whose trim marks were dropped. */
  readonly forgotten: readonly ForgottenTopic[]
  /** All topics that have changed, including those that no longer have events. */
  readonly topics: Iterable<Topic>
}

/** A topic without events whose trim mark was dropped. */
export interface ForgottenTopic {
  name: string
  trimmed: number
}

export class State implements TrimHistory {
  totals: Totals
  /** Events that the index lacks, in order. */
  unindexed: Unindexed[] = []
  /** See `LogView.mark`. */
  mark = 0
  /** The value of `mark` when the trim mark of a topic was last dropped. */
  forgottenAt = 0
  /** Trim marks of topics, also of remembered topics without events. */
  marks = new TrimMarks()
  /** The newest damaged event of an unknown topic: every subscriber with an older cursor gets a gap notice. */
  lost = 0
  topics = new Map<string, Topic>()
  /** The topics whose events are not trimmed. */
  finite = new FiniteNames()
  /** The number of transactions that have changed records. */
  recordChanges: number
  /** The estimated space of publisher ids whose events were removed, in bytes. */
  orphanIdBytes = 0
  /** The names of all topics with events, by segment. */
  names = new TopicTree<string>()

  /**
   * Reads the tables. It reads the events that the index lacks one by one, since they are few.
   * @throws StoreError if the tables are damaged
   */
  constructor(tables: Tables) {
    const { meta, topics, emptiedBySequence, records } = tables
    this.totals = toTotals(meta.get('totals'))
    this.recordChanges = recordChangesOf(meta.get('records'))
    for (const { key, value } of emptiedBySequence.getRange()) this.marks.set(value, key, 0)
    this.#readTopics(topics)
    if (countOf(records.getKeys()) !== entriesOf(records))
      throw new StoreError('Records are missing, such as revocations: their table is damaged.')
    this.finite.read(records.getKeys({ start: FINITE_PREFIX, end: `${FINITE_PREFIX}\uffff` }))
    this.#readUnindexed(tables)
  }

  /** @throws StoreError if the table is damaged */
  #readTopics(topics: Tables['topics']): void {
    for (const { key, value } of topics.getRange()) {
      const [id, count, size, newest, trimmed, sum] = value
      if (sum !== sumOf(key)) throw new StoreError(`The row of the topic ${JSON.stringify(key)} is damaged.`)
      const topic = new Topic(key, id)
      topic.events = count
      topic.bytes = size
      topic.newest = newest
      topic.trimmed = trimmed
      this.topics.set(key, topic)
      this.names.set(key, key)
      if (trimmed > 0) this.marks.set(key, trimmed, 0)
    }
    if (this.topics.size !== entriesOf(topics))
      throw new StoreError('Rows of topics are missing: the table of topics is damaged.')
  }

  /** Reads the events that the index lacks. Reports those that are missing or damaged. */
  #readUnindexed({ events, damage }: Tables): void {
    let found = 0
    for (const sequence of events.keys({ start: this.totals.indexed + 1, end: this.totals.head + 1 })) {
      found++
      const event = events.view(sequence)
      const topic = event && this.topics.get(event.topic) // a topic's row is written with its first event
      if (!topic) {
        this.lost = Math.max(this.lost, sequence)
        damage.report(`event ${sequence}, whose topic is unknown`)
        continue
      }
      const { size } = events
      topic.recent.push(sequence)
      this.unindexed.push({
        sequence,
        topic: topic.name,
        recent: topic.recent,
        entry: toIndexEntry(size, event.id !== undefined),
      })
      if (sequence <= topic.newest) continue // the row of the topic includes it
      topic.events++
      topic.bytes += size
      topic.newest = sequence
    }
    if (found < this.totals.head - this.totals.indexed) {
      // events are trimmed only once they are indexed, so these were lost
      this.lost = this.totals.head
      damage.report(`the lookup of the events after ${this.totals.indexed}`)
    }
  }

  get newestTrimmed(): number {
    return this.totals.trimmed
  }

  get forgotten(): Trimmed {
    return { trimmed: this.totals.forgotten, trimmedAt: this.forgottenAt }
  }

  trimmedOf(topic: string): Trimmed {
    return this.topics.get(topic) ?? this.marks.get(topic) ?? this.forgotten
  }

  /**
   * Applies the change of a durable transaction.
   * @returns the trims of the transaction
   */
  apply(update: StateUpdate): readonly Trim[] {
    this.totals = update.totals
    if (update.hasRecords) this.recordChanges++
    for (const { recent } of this.unindexed.splice(0, update.indexed)) recent.shift()
    for (const event of update.appended) {
      this.unindexed.push(event)
      event.recent.push(event.sequence)
    }
    const trims = this.#trim(update)
    for (const topic of update.topics) {
      const { name } = topic
      if (topic.events > 0) {
        if (!this.topics.has(name)) this.names.set(name, name)
        this.topics.set(name, topic)
      } else {
        this.names.delete(name)
        this.topics.delete(name)
      }
    }
    return trims
  }

  #trim({ trimmed, forgotten }: StateUpdate): readonly Trim[] {
    const trims: Trim[] = []
    for (const topic of trimmed) {
      topic.trimmedAt = ++this.mark
      this.marks.set(topic.name, topic.trimmed, topic.trimmedAt)
      trims.push({ topic: topic.name, until: topic.trimmed })
    }
    for (const { name, trimmed } of forgotten) {
      this.forgottenAt = ++this.mark
      this.marks.delete(name)
      trims.push({ topic: undefined, until: trimmed, forgotten: name })
    }
    return trims.length === 0 ? NO_TRIMS : trims
  }

  /**
   * Replaces this state by the one that the tables have now. The transactions in between are unknown.
   * @returns the trims since this state was current
   */
  reload(tables: Tables): readonly Trim[] {
    const now = new State(tables)
    const trims: Trim[] = []
    let { mark } = this
    const marks = [...now.marks.all()].map(({ topic, trimmed }) => {
      const before = this.trimmedOf(topic)
      if (trimmed <= before.trimmed) return { topic, trimmed, trimmedAt: before.trimmedAt }
      trims.push({ topic, until: trimmed })
      return { topic, trimmed, trimmedAt: ++mark }
    })
    if (now.totals.forgotten > this.totals.forgotten) {
      trims.push({ topic: undefined, until: now.totals.forgotten })
      this.forgottenAt = ++mark
    }
    now.marks = new TrimMarks()
    for (const { topic, trimmed, trimmedAt } of marks.sort((a, b) => a.trimmedAt - b.trimmedAt)) {
      now.marks.set(topic, trimmed, trimmedAt)
      const withEvents = now.topics.get(topic)
      if (withEvents) withEvents.trimmedAt = trimmedAt
    }
    this.mark = mark
    this.totals = now.totals
    this.unindexed = now.unindexed
    this.marks = now.marks
    this.topics = now.topics
    this.names = now.names
    now.finite.removals += this.finite.removals + 1
    this.finite = now.finite
    this.lost = Math.max(this.lost, now.lost)
    this.recordChanges = now.recordChanges
    return trims
  }

  /** Returns whether a snapshot of the tables matches this state. */
  isSnapshot({ meta }: Pick<Tables, 'meta'>, transaction: Transaction): boolean {
    return commitsIn({ meta }, transaction) === this.totals.commits
  }

  /** Returns whether the records of a snapshot are exactly the durable ones. */
  hasRecordsOf({ meta }: Tables, transaction: Transaction): boolean {
    return recordChangesOf(meta.get('records', { transaction })) === this.recordChanges
  }
}

/** Returns the number of the transaction that a snapshot shows. */
export function commitsIn({ meta }: Pick<Tables, 'meta'>, transaction: Transaction): number {
  return commitsOf(meta.get('totals', { transaction }) as TotalsRow)
}

function recordChangesOf(row: unknown): number {
  return typeof row === 'number' ? row : 0
}

function countOf(keys: Iterable<unknown>): number {
  let count = 0
  for (const key of keys) if (key !== undefined) count++
  return count
}
