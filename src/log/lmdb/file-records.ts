/** The records of a file log, in a table of their own. Another table has those that expire, by the time of that. */
import type { Transaction } from 'lmdb'
import type { Work } from '../../event-loop/time-slice.js'
import { requireKey, type KeptRecord, type KeyValue, type PutOptions, type RecordChange } from '../log.js'
import { RecordWatchers } from '../record-watchers.js'
import { StoreError } from './store-error.js'
import type { Snapshot, Tables } from './tables.js'
import type { Writer } from './writer.js'

/** How many records are read at once where many are walked through. */
const PAGE = 50
/** How many expired records are deleted in one transaction. */
const EXPIRE_STEP = 200

/** A record as it is stored. One that another version has stored may be its value alone, which is no array. */
type Row = [value: unknown, until?: number]

/** How records are read: on snapshots that have every change that is durable, and no other. */
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
    requireKey(key) // it would fail the whole transaction
    const json = JSON.stringify(value)
    const bytes = Buffer.byteLength(json) + Buffer.byteLength(key)
    const change = { key, value: JSON.parse(json) as unknown } // the caller may change its own
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

  /** Tells those who watch of changes that are durable. */
  changed(changes: readonly RecordChange[]): void {
    if (changes.length > 0) this.#watchers.changed(changes)
  }

  /** Deletes some of the records that have expired. To be called now and then. */
  expire(): void {
    if (this.#isExpiring) return
    const end: [number, string] = [Math.floor(this.#now()) + 1, ''] // it is not included
    const due = [...this.#tables.recordEnds.getKeys({ end, limit: EXPIRE_STEP })]
    if (due.length === 0) return
    this.#isExpiring = true
    const deletions = due.map((end) => this.#writer.change(() => this.#removeExpired(end), 0))
    // a disk that is full is tried again
    void Promise.allSettled(deletions).then((settled) => {
      this.#isExpiring = false
      if (due.length === EXPIRE_STEP && settled.every(({ status }) => status === 'fulfilled')) this.expire()
    })
  }

  #remove(key: string): RecordChange | undefined {
    this.#forgetEnd(key)
    return this.#tables.records.removeSync(key) ? { key, value: undefined } : undefined
  }

  /** Deletes a record, unless it has been stored anew since. */
  #removeExpired(end: [until: number, key: string]): RecordChange | undefined {
    const [until, key] = end
    this.#tables.recordEnds.removeSync(end)
    return this.#untilOf(key) === until ? this.#remove(key) : undefined
  }

  #forgetEnd(key: string): void {
    const until = this.#untilOf(key)
    if (until !== undefined) this.#tables.recordEnds.removeSync([until, key])
  }

  /** When a record expires; `undefined`: never, or it is damaged. */
  #untilOf(key: string): number | undefined {
    try {
      const row = this.#tables.records.get(key)
      return Array.isArray(row) ? (row as Row)[1] : undefined
    } catch (err) {
      if (err instanceof StoreError) return undefined
      throw err
    }
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

  /** The value of a row; `undefined`: there is none, or it has expired. */
  #valueOf(row: unknown): unknown {
    if (!Array.isArray(row)) return row
    const [value, until = Infinity] = row as Row
    return until > this.#now() ? value : undefined
  }
}
