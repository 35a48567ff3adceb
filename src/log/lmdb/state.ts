/** The state of an LMDB log in memory: the totals, and every topic that has events. */
import type { Transaction } from 'lmdb'
import { TopicTree } from '../topic-tree.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import { toIndexEntry, type Unindexed } from './index-entry.js'
import { StoreError } from './store-error.js'
import { entriesOf } from './table-stats.js'
import type { Tables } from './tables.js'
import { sumOf, Topic } from './topic.js'
import { toTotals, type Totals, type TotalsRow } from './totals.js'

export class State implements TrimHistory {
  totals: Totals
  /** Events that the index lacks, in order. */
  readonly unindexed: Unindexed[] = []
  /** See `LogView.mark`. */
  mark = 0
  /** The value of `mark` when the trim mark of a topic was last dropped. */
  forgottenAt = 0
  /** Trim marks of topics, also of remembered topics without events. */
  readonly marks = new TrimMarks()
  /** The newest damaged event of an unknown topic: every subscriber with an older cursor gets a gap notice. */
  lost = 0
  readonly topics = new Map<string, Topic>()
  /** The number of transactions that have changed records. */
  recordChanges: number
  /** The estimated space of publisher ids whose events were removed, in bytes. */
  orphanIdBytes = 0
  /** The names of all topics with events, by segment. */
  readonly names = new TopicTree<string>()

  /**
   * Reads the tables. It reads the events that the index lacks one by one, since they are few.
   * @throws StoreError if the tables are damaged
   */
  constructor({ meta, topics, events, emptiedBySequence, records, damage }: Tables) {
    this.totals = toTotals(meta.get('totals'))
    this.recordChanges = recordChangesOf(meta.get('records'))
    for (const { key, value } of emptiedBySequence.getRange()) this.marks.set(value, key, 0)
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
    if (countOf(records.getKeys()) !== entriesOf(records))
      throw new StoreError('Records are missing, such as revocations: their table is damaged.')
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

  /** Returns whether a snapshot of the tables matches this state. */
  isSnapshot({ meta }: Tables, transaction: Transaction): boolean {
    const [head, events, bytes, topicIds, trimmed, forgotten, indexed] = meta.get('totals', {
      transaction,
    }) as TotalsRow
    const { totals } = this
    return (
      head === totals.head &&
      events === totals.events &&
      bytes === totals.bytes &&
      topicIds === totals.topicIds &&
      trimmed === totals.trimmed &&
      forgotten === totals.forgotten &&
      indexed === totals.indexed
    )
  }

  /** Returns whether the records of a snapshot are exactly the durable ones. */
  hasRecordsOf({ meta }: Tables, transaction: Transaction): boolean {
    return recordChangesOf(meta.get('records', { transaction })) === this.recordChanges
  }
}

function recordChangesOf(row: unknown): number {
  return typeof row === 'number' ? row : 0
}

function countOf(keys: Iterable<unknown>): number {
  let count = 0
  for (const key of keys) if (key !== undefined) count++
  return count
}
