/**
 * The results of appends for other processes. They are stored in the transaction of the appends, so that the next
 * leader answers an append that was stored just before the leader died, instead of storing it again. A transaction
 * writes one row for each process.
 */
import type { Appended } from '../log.js'
import type { Tables } from './tables.js'

/** The process that requested an append. */
export interface Origin {
  readonly node: string
  /** The number of the append among the writes of the node. */
  readonly number: number
  /** All writes of the node up to this number have been answered. */
  readonly done: number
}

/** The maximum size of an answer without its results, in bytes. */
export const ANSWER_BYTES = 96
/** The maximum size of the result of one event in an answer, in bytes. */
export const RESULT_BYTES = 10

const PREFIX = 'answer/'

/** Returns the result of an append as numbers: for each event its sequence, negative for a duplicate. */
export function toAnswer(appended: readonly Appended[]): number[] {
  return appended.map(({ sequence, duplicate }) => (duplicate ? -sequence : sequence))
}

/** Returns the result of an append from its numbers. */
export function fromAnswer(answer: readonly number[]): Appended[] {
  return answer.map((number) => ({ sequence: Math.abs(number), duplicate: number < 0 }))
}

/** The result of an append for another process. */
export interface OriginResult {
  readonly origin: Origin
  readonly appended: readonly Appended[]
}

/** A row: the number of each append, and its result. */
type AnswerRow = readonly (readonly [number: number, answer: readonly number[]])[]

export class Answers {
  readonly #meta: Tables['meta']
  /** The keys of the rows of each node: the largest number of a row. */
  readonly #stored = new Map<string, Set<number>>()

  constructor({ meta }: Pick<Tables, 'meta'>) {
    this.#meta = meta
    for (const key of meta.getKeys({ start: PREFIX, end: `${PREFIX}\uffff` })) {
      const [, node, number] = key.split('/') as [string, string, string]
      this.#of(node).add(Number(number))
    }
  }

  /** The nodes that have answers. */
  get nodes(): Iterable<string> {
    return this.#stored.keys()
  }

  /** Returns the stored answer of a write. */
  find(node: string, number: number): readonly number[] | undefined {
    for (const last of this.#stored.get(node) ?? []) {
      if (last < number) continue
      const row = this.#meta.get(keyOf(node, last)) as AnswerRow | undefined
      const found = row?.find((answer) => answer[0] === number)
      if (found) return found[1]
    }
    return undefined
  }

  /**
   * Stores the answers of a transaction, and deletes the rows that their nodes no longer need. Call it once
   * within the transaction.
   */
  write(results: readonly OriginResult[]): void {
    for (const node of new Set(results.map(({ origin }) => origin.node))) {
      const group = results.filter(({ origin }) => origin.node === node)
      const stored = this.#of(node)
      const done = Math.max(...group.map(({ origin }) => origin.done))
      for (const last of stored) {
        if (last > done) continue
        this.#meta.removeSync(keyOf(node, last))
        stored.delete(last)
      }
      const last = Math.max(...group.map(({ origin }) => origin.number))
      const row: AnswerRow = group.map(({ origin, appended }) => [origin.number, toAnswer(appended)])
      this.#meta.putSync(keyOf(node, last), row)
      stored.add(last)
    }
  }

  /** Deletes all answers of a node. Call it within a transaction. */
  forget(node: string): void {
    for (const number of this.#of(node)) this.#meta.removeSync(keyOf(node, number))
    this.#stored.delete(node)
  }

  #of(node: string): Set<number> {
    let numbers = this.#stored.get(node)
    if (!numbers) this.#stored.set(node, (numbers = new Set()))
    return numbers
  }
}

function keyOf(node: string, last: number): string {
  return `${PREFIX}${node}/${last}`
}
