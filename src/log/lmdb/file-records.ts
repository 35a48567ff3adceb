/** The records of an LMDB log. A second table lists the records that expire, in the order in which they do. */
import type { Transaction } from 'lmdb'
import type { Work } from '../../event-loop/time-slice.js'
import { requireKey, type KeptRecord, type KeyValue, type PutOptions, type RecordChange } from '../log.js'
import { RecordWatchers } from '../record-watchers.js'
import type { Role } from './role.js'
import type { Snapshot, Tables } from './tables.js'

/** The number of records that one step of a list reads. */
const PAGE = 50
/** A stored record. An earlier version stored the value alone, which was never an array. */
export type RecordRow = [value: unknown, until?: number]

/** Reads on snapshots that contain exactly the durable changes of records. */
export interface RecordReads {
  look<T>(read: (snapshot: Transaction) => T): Promise<T>
  run<T>(begin: (snapshot: Snapshot) => Work<T>): Promise<T>
}

export class FileRecords implements KeyValue {
  readonly #tables: Tables
  readonly #role: () => Role
  readonly #reads: RecordReads
  readonly #now: () => number
  readonly #watchers = new RecordWatchers()

  /** @param now the wall clock, in milliseconds */
  constructor(tables: Tables, role: () => Role, reads: RecordReads, now: () => number) {
    this.#tables = tables
    this.#role = role
    this.#reads = reads
    this.#now = now
  }

  async get(key: string): Promise<unknown> {
    const { records } = this.#tables
    return this.#reads.look((transaction) => this.#valueOf(records.get(key, { transaction })))
  }

  async list(prefix: string): Promise<KeptRecord[]> {
    const records: KeptRecord[] = []
    await this.#walk(prefix, (record) => records.push(record))
    return records
  }

  async put(key: string, value: unknown, options: PutOptions = {}): Promise<void> {
    requireKey(key) // a bad key would fail the whole transaction
    const copy = JSON.parse(JSON.stringify(value)) as unknown // the caller may change the value
    return this.#role().putRecord(key, copy, options)
  }

  async swap(key: string, expected: unknown, value: unknown): Promise<boolean> {
    requireKey(key)
    const copy = value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown)
    return this.#role().swapRecord(key, expected, copy)
  }

  async delete(key: string): Promise<void> {
    return this.#role().deleteRecord(key)
  }

  watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void> {
    return this.#watchers.watch(prefix, (begin, visit) => this.#walk(begin, visit), onChange)
  }

  /** Calls `visit` with all records, in the turn in which they are current. */
  readAll(visit: (records: readonly KeptRecord[]) => void): Promise<void> {
    return this.#reads.look((transaction) => {
      const records: KeptRecord[] = []
      for (const { key, value: row } of this.#tables.records.getRange({ transaction })) {
        const value = this.#valueOf(row)
        if (value !== undefined) records.push({ key, value })
      }
      visit(records)
    })
  }

  /** Gives the watchers the records that may have changed while this process did not follow the changes. */
  resync(): Promise<void> {
    return this.#watchers.resync((prefix, visit) => this.#walk(prefix, visit))
  }

  /** Passes durable changes to the watchers. */
  changed(changes: readonly RecordChange[]): void {
    if (changes.length > 0) this.#watchers.changed(changes)
  }

  #walk(prefix: string, visit: (record: KeptRecord) => void): Promise<void> {
    return this.#reads.run((snapshot) => this.#pages(snapshot, prefix, visit))
  }

  *#pages(snapshot: Snapshot, prefix: string, visit: (record: KeptRecord) => void): Work<void> {
    for (let start = prefix; ;) {
      const { transaction } = snapshot
      const page = [...this.#tables.records.getRange({ start, limit: PAGE, transaction })]
      for (const { key, value: row } of page) {
        if (!key.startsWith(prefix)) return
        const value = this.#valueOf(row)
        if (value !== undefined) visit({ key, value })
      }
      const last = page.at(-1)
      if (!last || page.length < PAGE) return
      start = `${last.key}\0`
      yield
    }
  }

  /** Returns the value of a row; `undefined` if the row is missing or has expired. */
  #valueOf(row: unknown): unknown {
    if (!Array.isArray(row)) return row
    const [value, until = Infinity] = row as RecordRow
    return until > this.#now() ? value : undefined
  }
}
