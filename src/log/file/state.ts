/** What a file log knows of itself without looking into its tables: the totals, and every topic that has events. */
import type { Transaction } from 'lmdb'
import { LRUCache } from 'lru-cache'
import { REMEMBERED_TOPICS } from '../log.js'
import type { Tables, TopicRow, TotalsRow } from './store.js'

export interface Topic {
  name: string
  id: number
  events: number
  bytes: number
  /** Its newest sequence. */
  newest: number
  /** The newest sequence that has been trimmed; 0: none. */
  trimmed: number
  /** What `State.trims` was when that was; 0: before this process. */
  trimmedAt: number
}

export interface Totals {
  head: number
  events: number
  bytes: number
  topicIds: number
  trimmed: number
  forgotten: number
}

export class State {
  totals: Totals
  /** Grows whenever something has been trimmed. */
  trims = 0
  /** What it was when topics were emptied that have not come back; of the oldest it is not known any more. */
  readonly emptiedAt = new LRUCache<string, number>({ max: REMEMBERED_TOPICS })
  /** What it was when topics were forgotten that have no events. */
  forgottenAt = 0
  readonly topics = new Map<string, Topic>()

  constructor({ meta, topics }: Tables) {
    const [head, events, bytes, topicIds, trimmed, forgotten] = (meta.get('totals') as TotalsRow | undefined) ?? [0, 0, 0, 0, 0, 0]
    this.totals = { head, events, bytes, topicIds, trimmed, forgotten }
    for (const { key, value } of topics.getRange()) {
      const [id, count, size, newest, gone] = value
      this.topics.set(key, { name: key, id, events: count, bytes: size, newest, trimmed: gone, trimmedAt: 0 })
    }
  }

  /** Whether a snapshot of the tables is what this says. */
  isSnapshot({ meta }: Tables, transaction: Transaction): boolean {
    const [head, events, , , trimmed, forgotten] = meta.get('totals', { transaction }) as TotalsRow
    const { totals } = this
    return head === totals.head && events === totals.events && trimmed === totals.trimmed && forgotten === totals.forgotten
  }
}

/**
 * The state as one transaction changes it: copies, so that nothing has happened when the transaction fails. What has
 * changed is written with it, and becomes the state once it is durable.
 */
export class Change {
  readonly totals: Totals
  /** What `State.trims` will be. */
  trims: number
  readonly #state: State
  readonly #tables: Tables
  readonly #topics = new Map<string, Topic>()

  constructor(state: State, tables: Tables) {
    this.#state = state
    this.#tables = tables
    this.totals = { ...state.totals }
    this.trims = state.trims
  }

  /** A topic, to be read and changed; made when it is not there. */
  topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      const known = this.#state.topics.get(name)
      topic = known ? { ...known } : this.#revive(name)
      this.#topics.set(name, topic)
    }
    return topic
  }

  /** Writes what has changed; within the transaction. */
  write(): void {
    const { meta, topics, emptied, emptiedBySequence } = this.#tables
    const { head, events, bytes, topicIds, trimmed, forgotten } = this.totals
    meta.putSync('totals', [head, events, bytes, topicIds, trimmed, forgotten] satisfies TotalsRow)
    for (const topic of this.#topics.values()) {
      if (topic.events > 0) {
        topics.putSync(topic.name, [topic.id, topic.events, topic.bytes, topic.newest, topic.trimmed] satisfies TopicRow)
      } else if (topic.trimmed > 0) {
        topics.removeSync(topic.name)
        emptied.putSync(topic.name, [topic.id, topic.trimmed])
        emptiedBySequence.putSync(topic.trimmed, topic.name)
      }
    }
  }

  /** Makes the change the state; after the transaction. */
  apply(): void {
    if (this.totals.forgotten > this.#state.totals.forgotten) this.#state.forgottenAt = this.trims
    this.#state.trims = this.trims
    this.#state.totals = this.totals
    for (const topic of this.#topics.values()) {
      if (topic.events > 0) this.#state.topics.set(topic.name, topic)
      else {
        this.#state.topics.delete(topic.name)
        this.#state.emptiedAt.set(topic.name, topic.trimmedAt)
      }
    }
  }

  /** A topic that is new, or has been without events: then it keeps its id, by which publishers' ids are remembered. */
  #revive(name: string): Topic {
    const { emptied, emptiedBySequence } = this.#tables
    const gone = emptied.get(name)
    if (!gone) return { name, id: ++this.totals.topicIds, events: 0, bytes: 0, newest: 0, trimmed: this.totals.forgotten, trimmedAt: this.#state.forgottenAt }
    const [id, trimmed] = gone
    emptied.removeSync(name)
    emptiedBySequence.removeSync(trimmed)
    return { name, id, events: 0, bytes: 0, newest: 0, trimmed, trimmedAt: this.#state.emptiedAt.get(name) ?? 0 }
  }
}
