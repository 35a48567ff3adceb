/** Writes records. A second table orders the records that expire by their end. */
import type { PutOptions, RecordChange } from '../log.js'
import type { Origin } from './answers.js'
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

  /** @param origin the other process that requested the write */
  async put(key: string, value: unknown, { ttl }: PutOptions, origin?: Origin): Promise<void> {
    const bytes = Buffer.byteLength(JSON.stringify(value)) + Buffer.byteLength(key)
    const until = ttl === undefined || ttl === Infinity ? undefined : Math.ceil(this.#now() + ttl)
    const write = (): RecordChange => {
      const { records, recordEnds } = this.#tables
      this.#forgetEnd(key)
      records.putSync(key, (until === undefined ? [value] : [value, until]) satisfies RecordRow)
      if (until !== undefined) recordEnds.putSync([until, key], 0)
      return { key, value }
    }
    await this.#writer.change({ write, bytes, origin })
  }

  /** As `KeyValue.swap`. */
  swap(key: string, expected: unknown, value: unknown, origin?: Origin): Promise<boolean> {
    const bytes = Buffer.byteLength(JSON.stringify(value ?? null)) + Buffer.byteLength(key)
    const wanted = JSON.stringify(expected)
    const write = () => {
      if (JSON.stringify(this.#valueOf(key)) !== wanted) return 'refused'
      if (value === undefined) return this.#remove(key)
      this.#forgetEnd(key)
      this.#tables.records.putSync(key, [value] satisfies RecordRow)
      return { key, value }
    }
    return this.#writer.change({ write, bytes, origin })
  }

  async delete(key: string, origin?: Origin): Promise<void> {
    await this.#writer.change({ write: () => this.#remove(key), bytes: 0, origin })
  }

  /** Deletes expired records. Call it periodically. */
  expire(): void {
    if (this.#isExpiring) return
    const end: [number, string] = [Math.floor(this.#now()) + 1, ''] // the end is excluded
    const due = [...this.#tables.recordEnds.getKeys({ end, limit: EXPIRE_STEP })]
    if (due.length === 0) return
    this.#isExpiring = true
    const deletions = due.map((end) => this.#writer.change({ write: () => this.#removeExpired(end), bytes: 0 }))
    // a later call tries again after a failure, such as a full disk
    void Promise.allSettled(deletions).then((settled) => {
      this.#isExpiring = false
      if (due.length === EXPIRE_STEP && settled.every(({ status }) => status === 'fulfilled')) this.expire()
    })
  }

  #remove(key: string): RecordChange | 'unchanged' {
    this.#forgetEnd(key)
    return this.#tables.records.removeSync(key) ? { key, value: undefined } : 'unchanged'
  }

  /** Deletes a record, unless a later `put` has changed its end. */
  #removeExpired(end: [until: number, key: string]): RecordChange | 'unchanged' {
    const [until, key] = end
    this.#tables.recordEnds.removeSync(end)
    return this.#untilOf(key) === until ? this.#remove(key) : 'unchanged'
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
