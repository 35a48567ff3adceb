/** Writes records. A second table orders the records that expire by their end. */
import type { PutOptions, RecordChange } from '../log.js'
import type { RecordRow } from './file-records.js'
import { unlessDamaged } from './store-error.js'
import type { Tables } from './tables.js'
import type { Writer } from './writer.js'

/** The number of expired records that are deleted together. */
const EXPIRE_STEP = 200

export class RecordWriter {
  readonly #tables: Tables
  readonly #writer: Writer
  readonly #now: () => number
  #isExpiring = false

  /** @param now the wall clock, in milliseconds */
  constructor(tables: Tables, writer: Writer, now: () => number) {
    this.#tables = tables
    this.#writer = writer
    this.#now = now
  }

  put(key: string, value: unknown, { ttl }: PutOptions): Promise<void> {
    const bytes = Buffer.byteLength(JSON.stringify(value)) + Buffer.byteLength(key)
    const until = ttl === undefined || ttl === Infinity ? undefined : Math.ceil(this.#now() + ttl)
    return this.#writer.change(() => {
      const { records, recordEnds } = this.#tables
      this.#forgetEnd(key)
      records.putSync(key, (until === undefined ? [value] : [value, until]) satisfies RecordRow)
      if (until !== undefined) recordEnds.putSync([until, key], 0)
      return { key, value }
    }, bytes)
  }

  /** As `KeyValue.swap`. */
  async swap(key: string, expected: unknown, value: unknown): Promise<boolean> {
    const bytes = Buffer.byteLength(JSON.stringify(value ?? null)) + Buffer.byteLength(key)
    const wanted = JSON.stringify(expected)
    let isSwapped = false
    await this.#writer.change(() => {
      isSwapped = JSON.stringify(this.#valueOf(key)) === wanted
      if (!isSwapped) return undefined
      if (value === undefined) return this.#remove(key)
      this.#forgetEnd(key)
      this.#tables.records.putSync(key, [value] satisfies RecordRow)
      return { key, value }
    }, bytes)
    return isSwapped
  }

  delete(key: string): Promise<void> {
    return this.#writer.change(() => this.#remove(key), 0)
  }

  /** Deletes expired records. Call it periodically. */
  expire(): void {
    if (this.#isExpiring) return
    const end: [number, string] = [Math.floor(this.#now()) + 1, ''] // the end is excluded
    const due = [...this.#tables.recordEnds.getKeys({ end, limit: EXPIRE_STEP })]
    if (due.length === 0) return
    this.#isExpiring = true
    const deletions = due.map((end) => this.#writer.change(() => this.#removeExpired(end), 0))
    // a later call tries again after a failure, such as a full disk
    void Promise.allSettled(deletions).then((settled) => {
      this.#isExpiring = false
      if (due.length === EXPIRE_STEP && settled.every(({ status }) => status === 'fulfilled')) this.expire()
    })
  }

  #remove(key: string): RecordChange | undefined {
    this.#forgetEnd(key)
    return this.#tables.records.removeSync(key) ? { key, value: undefined } : undefined
  }

  /** Deletes a record, unless a later `put` has changed its end. */
  #removeExpired(end: [until: number, key: string]): RecordChange | undefined {
    const [until, key] = end
    this.#tables.recordEnds.removeSync(end)
    return this.#untilOf(key) === until ? this.#remove(key) : undefined
  }

  #forgetEnd(key: string): void {
    const until = this.#untilOf(key)
    if (until !== undefined) this.#tables.recordEnds.removeSync([until, key])
  }

  /** Returns the value of a record; `undefined`: there is none, or it has expired. */
  #valueOf(key: string): unknown {
    const row = this.#tables.records.get(key)
    if (!Array.isArray(row)) return row
    const [value, until = Infinity] = row as RecordRow
    return until > this.#now() ? value : undefined
  }

  /** Returns the time when a record expires; `undefined` if it never does, or is damaged. */
  #untilOf(key: string): number | undefined {
    const row = unlessDamaged(() => this.#tables.records.get(key))
    return Array.isArray(row) ? (row as RecordRow)[1] : undefined
  }
}
