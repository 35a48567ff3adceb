/**
 * The answers to writes of other processes. Each is stored in the transaction of its write. If the leader dies before
 * it has sent the answer, the next leader sends it, and does not perform the write again. A transaction writes one row
 * for each process.
 */
import type { Appended } from '../log.js'
import { NodeRows } from './node-rows.js'
import type { Tables } from './tables.js'

/** The process that requested a write. */
export interface Origin {
  readonly node: string
  /** The number of the write among the writes of the node. */
  readonly number: number
  /** All writes of the node up to this number have been answered. */
  readonly done: number
}

/** The maximum size of an answer without its results, in bytes. */
export const ANSWER_BYTES = 96
/** The maximum size of one number in an answer, in bytes. */
export const RESULT_BYTES = 10

/**
 * The answer to a write that was stored: the numbers of `toAnswer` for an append, the number of purged events for a
 * purge, and `true` for a write of a record.
 */
export type Answer = readonly number[] | number | true

/** Returns the result of an append as numbers: for each event its sequence, negative for a duplicate. */
export function toAnswer(appended: readonly Appended[]): number[] {
  return appended.map(({ sequence, duplicate }) => (duplicate ? -sequence : sequence))
}

/** Returns the result of an append from its numbers. */
export function fromAnswer(answer: readonly number[]): Appended[] {
  return answer.map((number) => ({ sequence: Math.abs(number), duplicate: number < 0 }))
}

/** The answer to a write of another process. */
export interface OriginAnswer {
  readonly origin: Origin
  readonly answer: Answer
}

/** A purge that needs further transactions. */
export interface UnfinishedPurge {
  /** The newest sequence that the purge removes. */
  readonly until: number
  /** The number of events that it has removed so far. */
  readonly purged: number
}

/** A row: the number of each write, and its answer. The row has the largest of these numbers. */
type AnswerRow = readonly (readonly [number: number, answer: Answer])[]

export class Answers {
  readonly #rows: NodeRows<AnswerRow>
  readonly #purges: NodeRows<UnfinishedPurge>

  constructor(tables: Pick<Tables, 'meta'>) {
    this.#rows = new NodeRows(tables, 'answer/')
    this.#purges = new NodeRows(tables, 'purge/')
  }

  /** The nodes that have answers or unfinished purges. */
  get nodes(): ReadonlySet<string> {
    return new Set([...this.#rows.nodes, ...this.#purges.nodes])
  }

  /** Returns the stored answer to a write. */
  find(node: string, number: number): Answer | undefined {
    for (const last of this.#rows.numbers(node)) {
      if (last < number) continue
      const found = this.#rows.get(node, last)?.find((answer) => answer[0] === number)
      if (found) return found[1]
    }
    return undefined
  }

  /** Returns a purge that an earlier leader has begun. */
  findPurge({ node, number }: Origin): UnfinishedPurge | undefined {
    return this.#purges.get(node, number)
  }

  /** Stores how far a purge has come. Call it within the transaction. */
  keepPurge({ node, number }: Origin, purge: UnfinishedPurge): void {
    this.#purges.put(node, number, purge)
  }

  /**
   * Stores the answers of a transaction, and deletes the rows that their nodes no longer need. Call it once
   * within the transaction.
   */
  write(answers: readonly OriginAnswer[]): void {
    for (const node of new Set(answers.map(({ origin }) => origin.node))) {
      const group = answers.filter(({ origin }) => origin.node === node)
      const done = Math.max(...group.map(({ origin }) => origin.done))
      this.#rows.deleteUpTo(node, done)
      this.#purges.deleteUpTo(node, done)
      for (const { origin } of group) this.#purges.delete(node, origin.number)
      const last = Math.max(...group.map(({ origin }) => origin.number))
      this.#rows.put(
        node,
        last,
        group.map(({ origin, answer }) => [origin.number, answer]),
      )
    }
  }

  /** Deletes everything about a node. Call it within a transaction. */
  forget(node: string): void {
    this.#rows.forget(node)
    this.#purges.forget(node)
  }
}
