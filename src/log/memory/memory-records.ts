/** The records of a memory log. They are stored as JSON, so a read never returns the stored object itself. */
import { mapInTurns } from '../../event-loop/time-slice.js'
import { requireKey, type KeptRecord, type KeyValue, type PutOptions, type RecordChange } from '../log.js'
import { RecordWatchers } from '../record-watchers.js'

/** The time between two sweeps of expired records, in milliseconds. */
const SWEEP_INTERVAL = 1_000
/** A sweep checks at least this many of the records that can expire, and at least this part of them. */
const SWEEP_STEP = 500
const SWEEP_PART = 1 / 20

interface StoredRecord {
  json: string
  /** When the record expires, on the wall clock; `Infinity`: never. */
  until: number
}

export class MemoryRecords implements KeyValue {
  readonly #records = new Map<string, StoredRecord>()
  /** The keys of records that can expire. */
  readonly #ending = new Set<string>()
  readonly #watchers = new RecordWatchers()
  readonly #onChange: (change: RecordChange) => void
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #sweep: Iterator<string> | undefined

  /**
   * @param onChange called with each change
   * @param now the wall clock, in milliseconds
   */
  constructor(onChange: (change: RecordChange) => void, now: () => number) {
    this.#onChange = onChange
    this.#now = now
    this.#timer = setInterval(() => this.#expire(), SWEEP_INTERVAL).unref()
  }

  async get(key: string): Promise<unknown> {
    const record = this.#records.get(key)
    return record && this.#isThere(record) ? JSON.parse(record.json) : undefined
  }

  async list(prefix: string): Promise<KeptRecord[]> {
    const records: KeptRecord[] = []
    await this.#walk(prefix, (record) => records.push(record))
    return records.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async put(key: string, value: unknown, { ttl = Infinity }: PutOptions = {}): Promise<void> {
    requireKey(key)
    const json = JSON.stringify(value)
    const until = this.#now() + ttl
    this.#records.set(key, { json, until })
    if (until < Infinity) this.#ending.add(key)
    else this.#ending.delete(key)
    this.#tell({ key, value: JSON.parse(json) })
  }

  async swap(key: string, expected: unknown, value: unknown): Promise<boolean> {
    requireKey(key)
    const record = this.#records.get(key)
    const current = record && this.#isThere(record) ? record.json : undefined
    if (current !== JSON.stringify(expected)) return false
    if (value !== undefined) await this.put(key, value)
    else await this.delete(key)
    return true
  }

  async delete(key: string): Promise<void> {
    if (!this.#records.delete(key)) return
    this.#ending.delete(key)
    this.#tell({ key, value: undefined })
  }

  watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void> {
    return this.#watchers.watch(prefix, (begin, visit) => this.#walk(begin, visit), onChange)
  }

  /** Stops the sweeps of expired records. */
  stop(): void {
    clearInterval(this.#timer)
  }

  async #walk(prefix: string, visit: (record: KeptRecord) => void): Promise<void> {
    await mapInTurns(this.#records, ([key, record]) => {
      if (key.startsWith(prefix) && this.#isThere(record)) visit({ key, value: JSON.parse(record.json) })
    })
  }

  #tell(change: RecordChange): void {
    this.#onChange(change)
    this.#watchers.changed([change])
  }

  #isThere({ until }: StoredRecord): boolean {
    return until > this.#now()
  }

  /** Checks some of the records that can expire, in turn. */
  #expire(): void {
    const steps = Math.max(SWEEP_STEP, this.#ending.size * SWEEP_PART)
    const sweep = (this.#sweep ??= this.#ending.values())
    for (let step = 0; step < steps; step++) {
      const next = sweep.next()
      if (next.done) {
        this.#sweep = undefined
        return
      }
      if (!this.#isThere(this.#records.get(next.value)!)) void this.delete(next.value)
    }
  }
}
