/** Rows that belong to the numbered writes of other processes. Each has the key of its process and number. */
import type { Tables } from './tables.js'

export class NodeRows<T> {
  readonly #meta: Tables['meta']
  readonly #prefix: string
  /** The numbers of the rows of each node. */
  readonly #numbers = new Map<string, Set<number>>()

  /** @param prefix the beginning of all keys, with a slash at its end */
  constructor({ meta }: Pick<Tables, 'meta'>, prefix: string) {
    this.#meta = meta
    this.#prefix = prefix
    for (const key of meta.getKeys({ start: prefix, end: `${prefix}\uffff` })) {
      const [node, number] = key.slice(prefix.length).split('/') as [string, string]
      this.#add(node, Number(number))
    }
  }

  /** The nodes that have rows. */
  get nodes(): Iterable<string> {
    return this.#numbers.keys()
  }

  /** Returns the numbers of the rows of a node. */
  numbers(node: string): Iterable<number> {
    return this.#numbers.get(node) ?? []
  }

  get(node: string, number: number): T | undefined {
    if (!this.#numbers.get(node)?.has(number)) return undefined
    return this.#meta.get(this.#keyOf(node, number)) as T | undefined
  }

  /** Stores a row. Call it within a transaction. */
  put(node: string, number: number, row: T): void {
    this.#meta.putSync(this.#keyOf(node, number), row)
    this.#add(node, number)
  }

  /** Deletes a row, if it exists. Call it within a transaction. */
  delete(node: string, number: number): void {
    if (this.#numbers.get(node)?.delete(number)) this.#meta.removeSync(this.#keyOf(node, number))
  }

  /** Deletes the rows of a node up to a number. Call it within a transaction. */
  deleteUpTo(node: string, last: number): void {
    for (const number of this.numbers(node)) if (number <= last) this.delete(node, number)
  }

  /** Deletes all rows of a node. Call it within a transaction. */
  forget(node: string): void {
    this.deleteUpTo(node, Infinity)
    this.#numbers.delete(node)
  }

  #add(node: string, number: number): void {
    const numbers = this.#numbers.get(node)
    if (numbers) numbers.add(number)
    else this.#numbers.set(node, new Set([number]))
  }

  #keyOf(node: string, number: number): string {
    return `${this.#prefix}${node}/${number}`
  }
}
