/** The table of events. Every event that is read is checked: a damaged one is reported, and is as good as missing. */
import type { Database, RootDatabase, Transaction } from 'lmdb'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { Damage } from './damage.js'
import { previousOf, readInPlace, sizeOfStored, toStoredEvent, type EventInPlace } from './row-view.js'
import { encodeRow } from './rows.js'

/**
 * What lmdb's types leave out: `getBinaryFast` also reads a snapshot, and gives a value of 16 MiB or more where it
 * lies in the map, as a `Uint8Array` that is no Buffer. The bytes are overwritten by whatever is read next.
 */
interface Rows {
  getBinaryFast(key: number, options: { transaction: Transaction | undefined }): Uint8Array | undefined
}

/** Sequences from `start` on, before `end`. */
interface SequenceRange {
  start?: number
  end?: number
  limit?: number
  reverse?: boolean
  transaction?: Transaction
}

export class EventsTable {
  readonly #rows: Database<Buffer, number> & Rows
  readonly #damage: Damage
  /** The row that was read last. */
  #row: Buffer | undefined

  constructor(root: RootDatabase, damage: Damage) {
    this.#rows = root.openDB<Buffer, number>({ name: 'events', encoding: 'binary' })
    this.#damage = damage
  }

  /** The event, its payload as bytes that are overwritten by whatever is read next; `undefined`: missing or damaged. */
  view(sequence: number, transaction?: Transaction): EventInPlace | undefined {
    const row = this.#rows.getBinaryFast(sequence, { transaction })
    if (row === undefined) return undefined
    this.#row = asBuffer(row)
    const event = readInPlace(sequence, this.#row)
    if (!event) this.#damage.report(`event ${sequence}`)
    return event
  }

  /** The event; `undefined`: missing or damaged. */
  get(sequence: number, transaction?: Transaction): StoredEvent | undefined {
    const event = this.view(sequence, transaction)
    return event && toStoredEvent(event)
  }

  /** Of the event that was read last: the sequence of the event before it of the same topic; 0: none. */
  get previous(): number {
    return previousOf(this.#row!)
  }

  /** Of the event that was read last: what it takes in the file, in bytes. */
  get size(): number {
    return sizeOfStored(this.#row!)
  }

  /** The sequences of events, also of those that are damaged. */
  keys(range: SequenceRange = {}): Iterable<number> {
    return this.#rows.getKeys(range)
  }

  doesExist(sequence: number): boolean {
    return this.#rows.doesExist(sequence)
  }

  /**
   * Stores an event.
   * @param previous the sequence of the event before it of the same topic; 0: none
   * @returns what it takes in the file, in bytes
   */
  put(sequence: number, event: NewEvent, time: number, previous: number): number {
    const { row, size } = encodeRow(sequence, event, time, previous)
    this.#rows.putSync(sequence, row)
    return size
  }

  remove(sequence: number): void {
    this.#rows.removeSync(sequence)
  }

  getStats(): object {
    return this.#rows.getStats()
  }
}

/** A Buffer of lmdb's has a length of its own, so it is left as it is. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
