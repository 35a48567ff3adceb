/**
 * Sequences of events: of one topic, of several topics merged, and of the whole log. They are fetched a few at a time.
 * Nothing of a snapshot is held between two calls, so each call can read another snapshot.
 */
import type { Transaction } from 'lmdb'
import TinyQueue from 'tinyqueue'
import type { Tables } from './tables.js'
import type { Topic } from './topic.js'

/** The number of sequences of the first fetch, and of the largest one: each fetch doubles it. */
const FIRST_FETCH = 4
const MAX_FETCH = 256

/** The order of sequences: `forwards` begins with the oldest, `backwards` with the newest. */
export type Direction = 'forwards' | 'backwards'

/** Sequences in order. */
export interface Sequences {
  /** Returns the next sequence; `undefined` at the end. */
  next(transaction: Transaction): number | undefined
}

/** Sequences that are fetched in parts. */
abstract class FetchedSequences implements Sequences {
  /** The bounds of the sequences that are left to fetch, both included. */
  protected low: number
  protected high: number
  readonly #direction: Direction
  #fetched: number[] = []
  #at = 0
  #count = FIRST_FETCH

  /** Sequences after `after`, up to `until`. */
  constructor(direction: Direction, after: number, until: number) {
    this.#direction = direction
    this.low = after + 1
    this.high = until
  }

  next(transaction: Transaction): number | undefined {
    if (this.#at === this.#fetched.length) this.#fetch(transaction)
    return this.#fetched[this.#at++]
  }

  #fetch(transaction: Transaction): void {
    this.#at = 0
    if (this.low > this.high) {
      this.#fetched = []
      return
    }
    const fetched =
      this.#direction === 'forwards'
        ? this.forwards(transaction, this.#count)
        : this.backwards(transaction, this.#count)
    this.#fetched = fetched.filter(
      (sequence) => Number.isSafeInteger(sequence) && sequence >= this.low && sequence <= this.high,
    ) // any other key is damaged
    const last = this.#fetched.at(-1)
    if (last === undefined) this.high = this.low - 1
    else if (this.#direction === 'forwards') this.low = last + 1
    else this.high = last - 1
    this.#count = Math.min(2 * this.#count, MAX_FETCH)
  }

  /** Returns the first sequences from `low` to `high`, the oldest first; an empty array if there are none. */
  protected abstract forwards(transaction: Transaction, count: number): number[]
  /** Returns the last sequences from `low` to `high`, the newest first; an empty array if there are none. */
  protected abstract backwards(transaction: Transaction, count: number): number[]
}

/** The sequences of a topic: from the index, and those that the index lacks. */
export class TopicSequences extends FetchedSequences {
  readonly #index: Tables['index']
  readonly #topic: Pick<Topic, 'id' | 'recent'>

  constructor(
    index: Tables['index'],
    topic: Pick<Topic, 'id' | 'recent'>,
    direction: Direction,
    after: number,
    until: number,
  ) {
    super(direction, after, until)
    this.#index = index
    this.#topic = topic
  }

  protected forwards(transaction: Transaction, limit: number): number[] {
    const { id, recent } = this.#topic
    const indexed = [
      ...this.#index.getKeys({ start: [id, this.low], end: [id, this.high + 1], limit, transaction }),
    ].map(([, sequence]) => sequence)
    return indexed.length > 0 ? indexed : recent.filter((sequence) => sequence >= this.low && sequence <= this.high)
  }

  protected backwards(transaction: Transaction, limit: number): number[] {
    const { id, recent } = this.#topic
    if (recent.length > 0 && recent[0]! <= this.high) {
      const unindexed = recent.filter((sequence) => sequence >= this.low && sequence <= this.high)
      if (unindexed.length > 0) return unindexed.reverse()
    }
    return [
      ...this.#index.getKeys({ start: [id, this.high], end: [id, this.low - 1], reverse: true, limit, transaction }),
    ].map(([, sequence]) => sequence)
  }
}

/** The sequences of the whole log. */
export class LogSequences extends FetchedSequences {
  readonly #events: Tables['events']

  constructor(events: Tables['events'], direction: Direction, after: number, until: number) {
    super(direction, after, until)
    this.#events = events
  }

  protected forwards(transaction: Transaction, limit: number): number[] {
    return [...this.#events.keys({ start: this.low, end: this.high + 1, limit, transaction })]
  }

  protected backwards(transaction: Transaction, limit: number): number[] {
    return [...this.#events.keys({ start: this.high, end: this.low - 1, reverse: true, limit, transaction })]
  }
}

/** The next sequence of a list, and the rest of the list. */
interface Head {
  sequence: number
  rest: Sequences
}

/** Several lists, merged in order. */
export class MergedSequences implements Sequences {
  readonly #heads: TinyQueue<Head>

  constructor(direction: Direction) {
    this.#heads = new TinyQueue<Head>(
      [],
      direction === 'forwards' ? (a, b) => a.sequence - b.sequence : (a, b) => b.sequence - a.sequence,
    )
  }

  /** Adds a list, before the first call of `next`. */
  add(rest: Sequences, transaction: Transaction): void {
    const sequence = rest.next(transaction)
    if (sequence !== undefined) this.#heads.push({ sequence, rest })
  }

  next(transaction: Transaction): number | undefined {
    const head = this.#heads.pop()
    if (!head) return undefined
    const { sequence } = head
    this.add(head.rest, transaction)
    return sequence
  }
}
