/**
 * Reserves room in the data file before each transaction. LMDB's native code can end the process when a write fails, so
 * LMDB must never write to a full disk. Every page that a transaction can use therefore has blocks on the disk before
 * the transaction begins: the file is extended with real zeroes, never sparsely, and LMDB overwrites them.
 */
import { closeSync, fstatSync, fsync, openSync, readSync, statfs, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { identify, replaced } from './folder-files.js'
import { NO_WORK, Pages, type Work } from './pages.js'
import { DATA_FILE } from './store-folder.js'
import type { Tables } from './tables.js'

const fsyncFile = promisify(fsync)
const statFileSystem = promisify(statfs)
const writeFile = promisify(write)

/** The room that appends leave for trims and purges, in bytes: these need pages before they free any. */
const PUBLISH_RESERVE = 512 * 1024
/** The room that trims and purges leave for opening and closing the log, in bytes. */
const TRIM_RESERVE = 128 * 1024
/** The room that is reserved ahead of need: a share of the used size, within bounds in bytes. */
const AHEAD = { share: 1 / 8, min: 2 * 1024 * 1024, max: 16 * 1024 * 1024 }
/**
 * The most additional room for one transaction, in bytes: enough for whole steps of trimming and indexing. Partial
 * steps would write many pages repeatedly.
 */
const MAX_WISH = 32 * 1024 * 1024
/** The free space that appends leave to other users of the file system, in bytes. */
const LEFT_TO_OTHERS = 1024 * 1024
/**
 * The size of one write that extends the file, in bytes. The kernel keeps the bytes of one write as one piece, and a
 * later change of a page costs more in a larger piece. A write also waits for the flush of a running transaction.
 */
const CHUNK = 128 * 1024
/** The time until the next attempt to extend the file on a full disk, in milliseconds. */
const RETRY = 200
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512
/** A transaction needs no new pages if this many times the pages that it can use are free in the file. */
const FREE_FACTOR = 4

const zeroes = Buffer.alloc(CHUNK)

/** The purpose of a transaction, which decides how much room it has to leave. */
export type Purpose = 'publish' | 'trim' | 'session'

const RESERVES: Record<Purpose, number> = { publish: PUBLISH_RESERVE, trim: TRIM_RESERVE, session: 0 }

const FULL = 'the disk is full'
const SHARED = 'another process writes the file of the log'

/** The error of a transaction without room. */
export class NoRoomError extends Error {
  override name = 'NoRoomError'
  /** Why there is no room, in words for publishers: without paths. */
  readonly reason: string

  constructor(folder: string, reason: string) {
    super(`There is no room for the log in ${folder}: ${reason}.`)
    this.reason = reason === FULL || reason === SHARED ? reason : 'the disk is full or not writable'
  }
}

export class Room {
  readonly #folder: string
  readonly #descriptor: number
  readonly #pages: Pages
  /** The number of pages of the file that have blocks on the disk. */
  #allocated = 0
  /** Whether the file has no holes. */
  #isFilled = false
  #extending: Promise<void> | undefined
  #fullAt = -Infinity
  /** Why the file could not be extended. */
  #reason = FULL
  #closed = false

  /**
   * Opens the data file of a folder whose tables are open.
   * @throws LostFolderError if the folder has another data file: its owner would lose what this process writes over
   */
  constructor(folder: string, tables: Tables) {
    this.#folder = folder
    this.#descriptor = openSync(join(folder, DATA_FILE), 'r+')
    if (identify(fstatSync(this.#descriptor, { bigint: true })) !== tables.files[DATA_FILE]) {
      closeSync(this.#descriptor)
      throw replaced(folder)
    }
    this.#pages = new Pages(tables)
    this.look()
  }

  /** Reads the size of the file. Only the owner of the folder may extend the file afterwards. */
  look(): void {
    const { size, blocks } = fstatSync(this.#descriptor)
    this.#allocated = Math.floor(size / this.#pages.size)
    this.#isFilled = blocks * BLOCK >= size
    this.#pages.look()
  }

  /** The error with the reason why there is no room. */
  get failure(): NoRoomError {
    return new NoRoomError(this.#folder, this.#reason)
  }

  /** Returns whether a transaction certainly has room. */
  fits(work: Work, purpose: Purpose): boolean {
    if (!this.#isFilled) return false
    const reserve = RESERVES[purpose] / this.#pages.size
    if (this.#ahead() - reserve >= this.#pages.most(work)) return true
    this.#pages.look()
    const most = this.#pages.most(work)
    const ahead = this.#ahead()
    if (ahead - reserve >= most) return true
    const hard = purpose === 'session' ? 0 : TRIM_RESERVE / this.#pages.size
    return ahead - hard >= work.ownPages && this.#pages.free() >= FREE_FACTOR * most && this.#pages.areFreeUsable()
  }

  /** Begins to make room, within bounds, for a larger transaction than the one that has room now. */
  wish(work: Work): void {
    if (this.#extending) return
    const { last, size } = this.#pages
    const pages = Math.ceil(
      last + 1 + Math.min(this.#pages.most(work), MAX_WISH / size) + (PUBLISH_RESERVE + aheadOf(last * size)) / size,
    )
    if (pages > this.#allocated) this.#extending = this.#extend(pages)
  }

  /** Returns whether a transaction has room. If so, it also begins to extend the file for later transactions. */
  has(work: Work, purpose: Purpose): boolean {
    if (!this.fits(work, purpose)) return false
    this.#extendAhead()
    return true
  }

  /** Makes room for a transaction. Resolves with whether there is room. */
  async make(work: Work, purpose: Purpose): Promise<boolean> {
    if (this.has(work, purpose)) return true
    await this.#extending
    if (!this.fits(work, purpose)) {
      await (this.#extending = this.#extend(this.#wanted(work, purpose), purpose === 'publish' ? LEFT_TO_OTHERS : 0))
    }
    return this.has(work, purpose)
  }

  /** Counts a transaction that was committed. */
  used(work: Work): void {
    this.#pages.used(work)
  }

  /** Flushes the file. */
  async sync(): Promise<void> {
    await fsyncFile(this.#descriptor)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#extending
    closeSync(this.#descriptor)
  }

  /** Returns the number of pages with blocks on the disk after LMDB's last page. */
  #ahead(): number {
    return this.#allocated - 1 - this.#pages.last
  }

  /** Returns the number of pages that the file needs for a transaction, its reserve and the room ahead. */
  #wanted(work: Work, purpose: Purpose): number {
    const { last, size } = this.#pages
    return Math.ceil(last + 1 + this.#pages.most(work) + (RESERVES[purpose] + aheadOf(last * size)) / size)
  }

  /** Begins to extend the file if less than half of the room ahead is left. */
  #extendAhead(): void {
    if (this.#extending || this.#isWellAhead()) return
    this.#pages.look()
    if (this.#isWellAhead()) return
    this.#extending = this.#extend(this.#wanted(NO_WORK, 'publish'))
  }

  #isWellAhead(): boolean {
    const { last, size } = this.#pages
    return this.#ahead() >= (PUBLISH_RESERVE + aheadOf(last * size) / 2) / size
  }

  /**
   * Extends the file to a number of pages, or as far as the disk has room. The caller sets `#extending`.
   * @param left the space that is left to other users of the disk, in bytes
   */
  async #extend(pages: number, left = LEFT_TO_OTHERS): Promise<void> {
    try {
      if (performance.now() - this.#fullAt < RETRY || this.#closed) return
      if (!this.#isFilled) this.#fillHoles()
      const { bavail, bsize } = await statFileSystem(this.#folder)
      const end = Math.min(pages * this.#pages.size, this.#allocated * this.#pages.size + bavail * bsize - left)
      for (let at = this.#allocated * this.#pages.size; at < end;) {
        // this process may have been frozen meanwhile, and another one may have taken the folder: it uses these pages
        if (Math.floor(fstatSync(this.#descriptor).size / this.#pages.size) !== this.#allocated) throw new Error(SHARED)
        const { bytesWritten } = await writeFile(this.#descriptor, zeroes, 0, Math.min(CHUNK, end - at), at)
        at += bytesWritten
        this.#allocated = Math.floor(at / this.#pages.size)
      }
      if (this.#allocated < pages) throw new Error(FULL)
    } catch (err) {
      this.#fullAt = performance.now()
      this.#reason = err instanceof Error ? err.message : String(err)
    } finally {
      this.#extending = undefined
    }
  }

  /**
   * Gives every page of a sparse file its blocks: a copy of a log may have holes instead of zeroes. LMDB does not
   * change the file meanwhile, since no transaction begins before this is done.
   */
  #fillHoles(): void {
    const page = this.#pages.size
    const bytes = Buffer.alloc(CHUNK)
    const { size } = fstatSync(this.#descriptor)
    for (let at = 0; at < size; at += CHUNK) {
      const read = readSync(this.#descriptor, bytes, 0, CHUNK, at)
      for (let start = 0; start < read; start += page) {
        const end = Math.min(start + page, read)
        if (bytes.subarray(start, end).equals(zeroes.subarray(0, end - start)))
          writeSync(this.#descriptor, zeroes, 0, end - start, at + start)
      }
    }
    this.#isFilled = true
  }
}

/** Returns the room ahead for a used size, in bytes. */
function aheadOf(used: number): number {
  return Math.min(AHEAD.max, Math.max(AHEAD.min, used * AHEAD.share))
}
