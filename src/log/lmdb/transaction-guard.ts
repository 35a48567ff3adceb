/**
 * Keeps LMDB from losing a transaction. LMDB has the number of the newest transaction twice: in its data file, and in
 * its lock file, which all processes share. A process that opens the files reads the first and writes it over the
 * second, without a lock (`mdb_env_open2`; OpenLDAP ITS#9496, not mended in lmdb 3.5). If a transaction is committed in
 * between, the number in the lock file is too old: the next transaction would replace the newest one, or use its pages
 * again.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { META_PAGE, pageSizeOf } from './data-file.js'
import { identify, replaced, type FolderFiles } from './folder-files.js'
import { DATA_FILE, LOCK_FILE } from './store-folder.js'

/** The offset of the number in the lock file (`MDB_txbody`), in bytes. */
const LOCK_NUMBER = 8

/** The error of a transaction that did not begin on the newest one. The next attempt does. */
export class OutdatedError extends Error {
  override name = 'OutdatedError'
}

export class TransactionGuard {
  readonly #data: number
  /**
   * It stays open as long as the log: the kernel drops the locks of a process on a file when the process closes any
   * descriptor of it.
   */
  readonly #lock: number
  readonly #pageSize: number
  readonly #bytes = Buffer.alloc(8)

  /**
   * Opens the files of a folder that LMDB has opened.
   * @throws LostFolderError if the folder has other files
   */
  constructor(folder: string, files: FolderFiles) {
    this.#data = openSync(join(folder, DATA_FILE), 'r')
    this.#lock = openSync(join(folder, LOCK_FILE), 'r+')
    if (idOf(this.#data) !== files[DATA_FILE] || idOf(this.#lock) !== files[LOCK_FILE]) {
      this.close()
      throw replaced(folder)
    }
    this.#pageSize = pageSizeOf(this.#data)
  }

  /**
   * Checks that a transaction follows the newest one. Otherwise it corrects the number in the lock file. Call it within
   * the transaction, before its first write: no other process can commit meanwhile.
   * @param number the number of the transaction
   * @throws OutdatedError: run the transaction again
   */
  check(number: number): void {
    const newest = this.#newest()
    if (BigInt(number) === newest + 1n) return
    this.#bytes.writeBigUInt64LE(newest)
    writeSync(this.#lock, this.#bytes, 0, this.#bytes.length, LOCK_NUMBER)
    throw new OutdatedError(`the transaction ${number} would replace ${newest}`)
  }

  /** Whether readers may not see the newest transaction. The next transaction corrects this. */
  isBehind(): boolean {
    return this.#read(this.#lock, LOCK_NUMBER) !== this.#newest()
  }

  /** Call it once LMDB has closed the files. */
  close(): void {
    closeSync(this.#data)
    closeSync(this.#lock)
  }

  #newest(): bigint {
    const first = this.#read(this.#data, META_PAGE.transaction)
    const second = this.#read(this.#data, this.#pageSize + META_PAGE.transaction)
    return first > second ? first : second
  }

  #read(descriptor: number, offset: number): bigint {
    readSync(descriptor, this.#bytes, 0, this.#bytes.length, offset)
    return this.#bytes.readBigUInt64LE()
  }
}

function idOf(descriptor: number): string {
  return identify(fstatSync(descriptor, { bigint: true }))
}
