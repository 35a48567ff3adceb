/** The records of an LMDB log. A second table lists the records that expire, in the order in which they do. */
import type { Transaction } from 'lmdb'
import type { Work } from '../../event-loop/time-slice.js'
import { requireKey, type KeptRecord, type KeyValue, type PutOptions, type RecordChange } from '../log.js'
import { RecordWatchers } from '../record-watchers.js'
import { unlessDamaged } from './store-error.js'
import type { Snapshot, Tables } from './tables.js'
import type { Writer } from './writer.js'

/** The number of records that one step of a list reads. */
const PAGE = 50
/** The number of expired records that are deleted together. */
const EXPIRE_STEP = 200

/** A stored record. An earlier version stored the value alone, which was never an array. */
type Row = [value: unknown, until?: number]

/** Reads on snapshots that contain exactly the durable changes of records. */
export interface RecordReads {
  look<T>(read: (snapshot: Transaction) => T): Promise<T>
  run<T>(begin: (snapshot: Snapshot) => Work<T>): Promise<T>
}

export class FileRecords implements KeyValue {
  readonly #tables: Tables
  readonly #writer: Writer
  readonly #reads: RecordReads
  readonly #now: () => number
  readonly #watchers = new RecordWatchers()
  #isExpiring = false

  /** @param now the wall clock, in milliseconds */
  constructor(tables: Tables, writer: Writer, reads: RecordReads, now: () => number) {
    this.#tables = tables
    this.#writer = writer
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

  async put(key: string, value: unknown, { ttl }: PutOptions = {}): Promise<void> {
    requireKey(key) // a bad key would fail the whole transaction
    const json = JSON.stringify(value)
    const bytes = Buffer.byteLength(json) + Buffer.byteLength(key)
    const change = { key, value: JSON.parse(json) as unknown } // a copy, since the caller may change the value
    const until = ttl === undefined || ttl === Infinity ? undefined : Math.ceil(this.#now() + ttl)
    return this.#writer.change(() => {
      const { records, recordEnds } = this.#tables
      this.#forgetEnd(key)
      records.putSync(key, (until === undefined ? [change.value] : [change.value, until]) satisfies Row)
      if (until !== undefined) recordEnds.putSync([until, key], 0)
      return change
    }, bytes)
  }

  delete(key: string): Promise<void> {
    return this.#writer.change(() => this.#remove(key), 0)
  }

  watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void> {
    return this.#watchers.watch(prefix, (visit) => this.#walk(prefix, visit), onChange)
  }

  /** Passes durable changes to the watchers. */
  changed(changes: readonly RecordChange[]): void {
    if (changes.length > 0) this.#watchers.changed(changes)
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

  /** Returns the time when a record expires; `undefined` if it never does, or is damaged. */
  #untilOf(key: string): number | undefined {
    const row = unlessDamaged(() => this.#tables.records.get(key))
    return Array.isArray(row) ? (row as Row)[1] : undefined
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
    const [value, until = Infinity] = row as Row
    return until > this.#now() ? value : undefined
  }
}
