/** What a file log knows of itself without looking into its tables: the totals, and every topic that has events. */
import type { Transaction } from 'lmdb'
import { TopicTree } from '../topic-tree.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import { toIndexEntry, type Unindexed } from './index-entry.js'
import { StoreError } from './store-error.js'
import type { Tables } from './tables.js'
import { sumOf, Topic } from './topic.js'
import { toTotals, type Totals, type TotalsRow } from './totals.js'

export type { Topic }

export class State implements TrimHistory {
  totals: Totals
  /** What is not in the index yet, in order. */
  readonly unindexed: Unindexed[] = []
  /** As `LogView.mark`. */
  trims = 0
  /** What it was when topics were forgotten that have no events. */
  forgottenAt = 0
  /** How far topics have been trimmed, also those that have no events left and are not forgotten. */
  readonly marks = new TrimMarks()
  /** The newest sequence that was damaged before its topic was known: every subscriber behind it is told of a gap. */
  lost = 0
  readonly topics = new Map<string, Topic>()
  /** How many transactions have changed records. */
  recordChanges: number
  /** About what the publisher ids take whose events are gone, in bytes. */
  orphanIdBytes = 0
  /** The names of these topics, by segment. */
  readonly names = new TopicTree<string>()

  /**
   * Reads the tables. Events that had not been indexed are read one by one; they are few.
   * @throws StoreError when the tables are damaged
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
      const topic = event && this.topics.get(event.topic) // a topic is written with its first event
      if (!topic) {
        this.lost = Math.max(this.lost, sequence)
        damage.report(`event ${sequence}, of which the topic is not known`)
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
      if (sequence <= topic.newest) continue // it was counted when the topic was written last
      topic.events++
      topic.bytes += size
      topic.newest = sequence
    }
    if (found < this.totals.head - this.totals.indexed) {
      // nothing is trimmed before it is indexed
      this.lost = this.totals.head
      damage.report(`what finds the events behind ${this.totals.indexed}`)
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

  /** Whether a snapshot of the tables is what this says. */
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

  /** Whether the records of a snapshot are those that this process knows to be durable. */
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

/** How many rows a table says that it has. */
function entriesOf(table: Pick<Tables['topics'], 'getStats'>): number {
  return (table.getStats() as { entryCount: number }).entryCount
}
