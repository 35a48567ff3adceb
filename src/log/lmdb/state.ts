/** What a file log knows of itself without looking into its tables: the totals, and every topic that has events. */
import type { Transaction } from 'lmdb'
import { TopicTree } from '../topic-tree.js'
import { NO_TRIMS, type Trim } from '../log.js'
import { TrimMarks, type TrimHistory, type Trimmed } from '../trim-marks.js'
import { StoreError } from './store-error.js'
import { isTotalsRow, sumOf, toTotalsRow, type Tables, type TopicRow, type TotalsRow } from './store.js'

export class Topic {
  readonly name: string
  readonly id: number
  events = 0
  bytes = 0
  /** Its newest sequence. */
  newest = 0
  /** The newest sequence that has been trimmed; 0: none. */
  trimmed = 0
  /** What `State.trims` was when that was; 0: before this process. */
  trimmedAt = 0
  /** The sequences of its events that are not in the index yet, in order. Every copy of a topic has the same list. */
  readonly recent: number[]

  constructor(name: string, id: number, recent: number[] = []) {
    this.name = name
    this.id = id
    this.recent = recent
  }

  /** Each transaction changes copies. Spreading them took V8 four times as long. */
  copy(): Topic {
    const copy = new Topic(this.name, this.id, this.recent)
    copy.events = this.events
    copy.bytes = this.bytes
    copy.newest = this.newest
    copy.trimmed = this.trimmed
    copy.trimmedAt = this.trimmedAt
    return copy
  }
}

/** An event that is not in the index yet. */
interface Unindexed {
  sequence: number
  topic: string
  /** `Topic.recent` of its topic. */
  recent: number[]
  /** The value of its index entry. */
  entry: number
}

export interface Totals {
  head: number
  events: number
  bytes: number
  topicIds: number
  trimmed: number
  forgotten: number
  /** Everything up to this sequence is in the index. */
  indexed: number
}

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

/**
 * The value of an index entry: from it trimming knows an event's size, and whether it has to be read for its
 * publisher's id.
 */
function toIndexEntry(size: number, hasId: boolean): number {
  return 2 * size + (hasId ? 1 : 0)
}

/** What an index entry says of its event. */
export function fromIndexEntry(entry: number): { size: number; hasId: boolean } {
  return { size: Math.floor(entry / 2), hasId: entry % 2 === 1 }
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

function toTotals(row: unknown): Totals {
  if (row === undefined) return { head: 0, events: 0, bytes: 0, topicIds: 0, trimmed: 0, forgotten: 0, indexed: 0 }
  if (!isTotalsRow(row)) throw new StoreError('The totals of the log are damaged: their checksum does not fit.')
  const [head, events, bytes, topicIds, trimmed, forgotten, indexed] = row
  return { head, events, bytes, topicIds, trimmed, forgotten, indexed }
}

/**
 * The state as one transaction changes it: copies, so that nothing has happened when the transaction fails. What has
 * changed is written with it, and becomes the state once it is durable.
 */
export class Change {
  readonly totals: Totals
  /** Whether records are changed, too. */
  hasRecords = false
  readonly #state: State
  readonly #tables: Tables
  readonly #topics = new Map<string, Topic>()
  /** Topics whose rows have to be written now; what was only appended to others is found again in the events. */
  readonly #dirty = new Set<Topic>()
  readonly #appended: Unindexed[] = []
  /** How many more topics have events than before. */
  #added = 0
  readonly #trimmed = new Set<Topic>()
  /** Topics without events of which it is not remembered any more how far they have been trimmed. */
  readonly #forgotten: { name: string; trimmed: number }[] = []
  /** How many of the events that were not in the index are now. */
  indexed = 0
  /** How many rows of topics were written. */
  written = 0
  /** How many topics without events were forgotten. */
  forgotten = 0
  /** How many events were removed, and ids and topics forgotten. */
  removals = 0

  constructor(state: State, tables: Tables) {
    this.#state = state
    this.#tables = tables
    this.totals = { ...state.totals }
  }

  /** A topic, to be read and changed; made when it is not there. */
  topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      const known = this.#state.topics.get(name)
      topic = known ? known.copy() : this.#revive(name)
      this.#topics.set(name, topic)
    }
    return topic
  }

  /** How many topics have events. */
  get topicCount(): number {
    return this.#state.topics.size + this.#added
  }

  /** Whether a topic has events. */
  hasTopic(name: string): boolean {
    const topic = this.#topics.get(name) ?? this.#state.topics.get(name)
    return topic !== undefined && topic.events > 0
  }

  /**
   * Counts an event that was put into the events.
   * @param size what it takes in the file, in bytes
   */
  append(topic: Topic, sequence: number, size: number, hasId: boolean): void {
    if (topic.events === 0) this.#added++
    topic.events++
    topic.bytes += size
    topic.newest = sequence
    this.totals.events++
    this.totals.bytes += size
    this.#appended.push({ sequence, topic: topic.name, recent: topic.recent, entry: toIndexEntry(size, hasId) })
  }

  /** Counts an event that was taken out of the events and the index. */
  trim(topic: Topic, sequence: number, size: number): void {
    topic.events--
    if (topic.events === 0) this.#added--
    topic.bytes = Math.max(0, topic.bytes - size)
    topic.trimmed = Math.max(topic.trimmed, sequence)
    this.#trimmed.add(topic)
    this.totals.events--
    this.totals.bytes = Math.max(0, this.totals.bytes - size)
    this.totals.trimmed = Math.max(this.totals.trimmed, sequence)
    this.removals++
    this.#dirty.add(topic)
  }

  /** Counts a topic without events that was taken out of the tables. */
  forget(topic: string, trimmed: number): void {
    this.totals.forgotten = Math.max(this.totals.forgotten, trimmed)
    this.#forgotten.push({ name: topic, trimmed })
  }

  /** Puts the oldest events that are not in the index into it. */
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

  /** Writes what has changed; within the transaction. */
  write(): void {
    const { meta, topics, emptied, emptiedBySequence } = this.#tables
    const { head, events, bytes, topicIds, trimmed, forgotten, indexed } = this.totals
    meta.putSync('totals', toTotalsRow([head, events, bytes, topicIds, trimmed, forgotten, indexed]))
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
   * Makes the change the state; after the transaction.
   * @returns what it has trimmed
   */
  apply(): readonly Trim[] {
    const state = this.#state
    state.totals = this.totals
    if (this.hasRecords) state.recordChanges++
    for (const { recent } of state.unindexed.splice(0, this.indexed)) recent.shift()
    for (const event of this.#appended) {
      state.unindexed.push(event)
      event.recent.push(event.sequence)
    }
    const trims = this.#applyTrims()
    for (const topic of this.#topics.values()) {
      const { name } = topic
      if (topic.events > 0) {
        if (!state.topics.has(name)) state.names.set(name, name)
        state.topics.set(name, topic)
      } else {
        state.names.delete(name)
        state.topics.delete(name)
      }
    }
    return trims
  }

  #applyTrims(): readonly Trim[] {
    if (this.#trimmed.size + this.#forgotten.length === 0) return NO_TRIMS
    const state = this.#state
    const trims: Trim[] = []
    for (const topic of this.#trimmed) {
      topic.trimmedAt = ++state.trims
      state.marks.set(topic.name, topic.trimmed, topic.trimmedAt)
      trims.push({ topic: topic.name, until: topic.trimmed })
    }
    for (const { name, trimmed } of this.#forgotten) {
      state.forgottenAt = ++state.trims
      state.marks.delete(name)
      trims.push({ topic: undefined, until: trimmed, forgotten: name })
    }
    return trims
  }

  /** The topics that have changed. */
  get changed(): Iterable<Topic> {
    return this.#topics.values()
  }

  /** A topic that is new, or has been without events: then it keeps its id, by which publishers' ids are remembered. */
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

/**
 * What is known of a topic that has no events; `undefined`: nothing, and everything up to `Totals.forgotten` may be
 * gone.
 */
function readEmptied({ emptied, damage }: Tables, name: string): [id: number, trimmed: number] | undefined {
  try {
    return emptied.get(name)
  } catch (err) {
    if (!(err instanceof StoreError)) throw err
    damage.report(`what was trimmed of the topic ${name}`)
    return undefined
  }
}
