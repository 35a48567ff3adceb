/**
 * The results of appends for other processes. They are stored in the transaction of the append, so that the next leader
 * answers an append that was stored just before the leader died, instead of storing it again.
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

export class Answers {
  readonly #meta: Tables['meta']
  /** The numbers of the stored answers of each node. */
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
    return this.#meta.get(keyOf(node, number)) as number[] | undefined
  }

  /** Stores an answer, and deletes those that the node no longer needs. Call it within the transaction. */
  write({ node, number, done }: Origin, appended: readonly Appended[]): void {
    const stored = this.#of(node)
    for (const old of stored) {
      if (old > done) continue
      this.#meta.removeSync(keyOf(node, old))
      stored.delete(old)
    }
    this.#meta.putSync(keyOf(node, number), toAnswer(appended))
    stored.add(number)
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

function keyOf(node: string, number: number): string {
  return `${PREFIX}${node}/${number}`
}
