/**
 * Looks for the newest event of each of many topics: through the index, topic by topic, and never at what lies between. Where
 * only some types are wanted, events have to be read to know theirs; so it goes in steps, each on a snapshot of its own.
 */
import type { Transaction } from 'lmdb'
import type { StoredEvent } from '../../hub/event.js'
import type { Selection } from '../../hub/selection.js'
import { PageBuilder } from '../page-builder.js'
import { toEvent } from './rows.js'
import { backwards } from './sequences.js'
import type { State } from './state.js'
import type { Tables } from './store.js'

/** How many topics and events are looked at in one step. */
const STEP = 2_000

export interface NewestOptions {
  after: number
  until: number
  events: number
  bytes: number
}

export class NewestSearch {
  readonly #tables: Tables
  readonly #state: State
  readonly #selection: Selection
  readonly #options: NewestOptions
  /** The topics that have not been looked at, the next one last. */
  readonly #topics: string[]
  readonly #found: number[] = []

  /** @param topics those of the selection, by name */
  constructor(tables: Tables, state: State, selection: Selection, topics: string[], options: NewestOptions) {
    this.#tables = tables
    this.#state = state
    this.#selection = selection
    this.#topics = topics
    this.#options = options
  }

  /** Whether every topic has been looked at. */
  get isDone(): boolean {
    return this.#topics.length === 0
  }

  /** Looks at some more topics. */
  step(transaction: Transaction): void {
    for (let looked = 0; looked < STEP && !this.isDone; ) looked += this.#look(transaction, this.#topics.pop()!)
  }

  /**
   * What was found, from the oldest on. What has been trimmed since it was found is left out.
   * @returns the events, and whether there are more of them
   */
  read(transaction: Transaction): { events: StoredEvent[]; more: boolean } {
    const page = new PageBuilder(this.#options)
    const { events } = page
    for (const sequence of this.#found.sort((a, b) => a - b)) {
      const row = this.#tables.events.get(sequence, { transaction })
      if (row && !page.take(toEvent(sequence, row))) return { events, more: true }
    }
    return { events, more: false }
  }

  /** @returns how much was looked at */
  #look(transaction: Transaction, name: string): number {
    const topic = this.#state.topics.get(name)
    const { after, until } = this.#options
    if (!topic || topic.newest <= after) return 1
    if (topic.newest <= until && this.#isWanted(transaction, topic.newest)) {
      this.#found.push(topic.newest)
      return 1
    }
    let looked = 1
    for (const sequence of backwards(this.#tables.index, transaction, topic, until)) {
      looked++
      if (sequence <= after) break
      if (!this.#isWanted(transaction, sequence)) continue
      this.#found.push(sequence)
      break
    }
    return looked
  }

  #isWanted(transaction: Transaction, sequence: number): boolean {
    return !this.#selection.types || this.#selection.hasType(this.#tables.events.get(sequence, { transaction })?.[3] ?? undefined)
  }
}
