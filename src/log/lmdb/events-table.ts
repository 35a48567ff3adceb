/** The table of events. Each read checks the event. A damaged event is reported, and counts as missing. */
import type { Database, RootDatabase, Transaction } from 'lmdb'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { Damage } from './damage.js'
import { previousOf, readInPlace, sizeOfStored, toStoredEvent, type EventInPlace } from './row-view.js'
import { encodeRow } from './rows.js'

/**
 * A method with an option that lmdb's types lack: a snapshot. The method returns a value of 16 MiB or more in place, as
 * a `Uint8Array` that is not a Buffer. The next read overwrites the bytes.
 */
interface Rows {
  getBinaryFast(key: number, options: { transaction: Transaction | undefined }): Uint8Array | undefined
}

/** Sequences from `start` (included) to `end` (excluded). */
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
  /** The row of the last read. */
  #row: Buffer | undefined

  constructor(root: RootDatabase, damage: Damage) {
    this.#rows = root.openDB<Buffer, number>({ name: 'events', encoding: 'binary' })
    this.#damage = damage
  }

  /** Returns an event, or `undefined` if it is missing or damaged. The next read overwrites its payload. */
  view(sequence: number, transaction?: Transaction): EventInPlace | undefined {
    const row = this.#rows.getBinaryFast(sequence, { transaction })
    if (row === undefined) return undefined
    this.#row = asBuffer(row)
    const event = readInPlace(sequence, this.#row)
    if (!event) this.#damage.report(`event ${sequence}`)
    return event
  }

  /** Returns a copy of an event, or `undefined` if it is missing or damaged. */
  get(sequence: number, transaction?: Transaction): StoredEvent | undefined {
    const event = this.view(sequence, transaction)
    return event && toStoredEvent(event)
  }

  /** The sequence before the last read event in its topic; 0: none. */
  get previous(): number {
    return previousOf(this.#row!)
  }

  /** The space that the last read event takes in the file, in bytes. */
  get size(): number {
    return sizeOfStored(this.#row!)
  }

  /** Returns the sequences of events, damaged ones included. */
  keys(range: SequenceRange = {}): Iterable<number> {
    return this.#rows.getKeys(range)
  }

  doesExist(sequence: number): boolean {
    return this.#rows.doesExist(sequence)
  }

  /**
   * Stores an event.
   * @param previous the sequence of the previous event of the topic; 0: none
   * @returns the space that the event takes in the file, in bytes
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

/** Returns bytes as a Buffer. A Buffer of lmdb stays as it is, since lmdb has set its `length`. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
