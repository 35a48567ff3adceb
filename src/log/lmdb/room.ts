/**
 * Keeps room in the log's file ahead of every transaction. LMDB's native code can end the process when a write fails,
 * so no write of LMDB may be the first to find that the disk is full: every page that a transaction can use has its
 * place on the disk before the transaction begins. The file is extended with real zeroes, never sparsely, and LMDB
 * then writes over them.
 */
import { closeSync, fstatSync, fsync, openSync, readSync, statfs, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { NO_WORK, Pages, type Work } from './pages.js'
import { DATA_FILE } from './store-folder.js'
import type { Tables } from './tables.js'

const fsyncFile = promisify(fsync)
const statFileSystem = promisify(statfs)
const writeFile = promisify(write)

/** What publishing leaves for trims and purges, in bytes: they need pages themselves before they give some back. */
const PUBLISH_RESERVE = 512 * 1024
/** What trims and purges leave for starting and stopping, in bytes. */
const TRIM_RESERVE = 128 * 1024
/** The room ahead of the log is an eighth of it, within these bounds, in bytes. */
const AHEAD = { share: 1 / 8, min: 2 * 1024 * 1024, max: 16 * 1024 * 1024 }
/**
 * The most room that is made for one transaction beside that, in bytes: enough to trim and to index as much as a
 * transaction does at once. In parts, each of them would write many of the same pages again.
 */
const MAX_WISH = 32 * 1024 * 1024
/** What publishing leaves to other users of a file system, in bytes. */
const LEFT_TO_OTHERS = 1024 * 1024
/**
 * How much the file is extended by one write, in bytes. The kernel keeps what one write has written as one piece, and a
 * page that is changed later costs more the larger its piece is; a write waits for the flush of a transaction that is
 * under way.
 */
const CHUNK = 128 * 1024
/** A disk that was full is looked at again after this time, in milliseconds. */
const RETRY = 200
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512
/**
 * How many times the pages that a transaction can use have to be free in the file, so that it gets by without new ones.
 */
const FREE_FACTOR = 4

const zeroes = Buffer.alloc(CHUNK)

/** Who a transaction is for: what has to be left in the file behind it. */
export type Purpose = 'publish' | 'trim' | 'session'

const RESERVES: Record<Purpose, number> = { publish: PUBLISH_RESERVE, trim: TRIM_RESERVE, session: 0 }

/** There is no room for a transaction. */
export class NoRoomError extends Error {
  override name = 'NoRoomError'
}

export class Room {
  readonly #folder: string
  readonly #descriptor: number
  readonly #pages: Pages
  /** How many pages of the file have their place on the disk. */
  #allocated = 0
  #isFilled = false
  #extending: Promise<void> | undefined
  #fullAt = -Infinity
  /** Why the file could not be extended. */
  #reason = 'the disk is full'
  #closed = false

  /** Opens the file of a folder whose tables are open. */
  constructor(folder: string, tables: Tables) {
    this.#folder = folder
    this.#descriptor = openSync(join(folder, DATA_FILE), 'r+')
    this.#pages = new Pages(tables)
    this.look()
  }

  /** Looks at the file, which only the process that has taken the folder may extend. */
  look(): void {
    const { size, blocks } = fstatSync(this.#descriptor)
    this.#allocated = Math.floor(size / this.#pages.size)
    this.#isFilled = blocks * BLOCK >= size
    this.#pages.look()
  }

  /** Why there is no room. */
  get failure(): NoRoomError {
    return new NoRoomError(`There is no room for the log in ${this.#folder}: ${this.#reason}.`)
  }

  /** Whether a transaction certainly has room. */
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

  /**
   * Begins to make room for as much as a transaction would like to do, within bounds. What it does now has to have room
   * already.
   */
  wish(work: Work): void {
    if (this.#extending) return
    const { last, size } = this.#pages
    const pages = Math.ceil(
      last + 1 + Math.min(this.#pages.most(work), MAX_WISH / size) + (PUBLISH_RESERVE + aheadOf(last * size)) / size,
    )
    if (pages > this.#allocated) this.#extending = this.#extend(pages)
  }

  /** Whether a transaction has room; then the file is also extended for later ones, beside it. */
  has(work: Work, purpose: Purpose): boolean {
    if (!this.fits(work, purpose)) return false
    this.#extendAhead()
    return true
  }

  /** Makes room for a transaction, when there is some. Resolves with whether there is. */
  async make(work: Work, purpose: Purpose): Promise<boolean> {
    if (this.has(work, purpose)) return true
    await this.#extending
    if (!this.fits(work, purpose)) {
      await (this.#extending = this.#extend(this.#wanted(work, purpose), purpose === 'publish' ? LEFT_TO_OTHERS : 0))
    }
    return this.has(work, purpose)
  }

  /** Counts what a transaction has used at most. */
  used(work: Work): void {
    this.#pages.used(work)
  }

  /** Flushes the file. */
  async sync(): Promise<void> {
    await fsyncFile(this.#descriptor)
  }

  /** Whether the file that a path leads to is the one that is open. */
  isAt(file: { ino: bigint; dev: bigint } | undefined): boolean {
    const { ino, dev } = fstatSync(this.#descriptor, { bigint: true })
    return file?.ino === ino && file.dev === dev
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#extending
    closeSync(this.#descriptor)
  }

  /** How many pages behind the last one that LMDB uses have their place on the disk. */
  #ahead(): number {
    return this.#allocated - 1 - this.#pages.last
  }

  /** How many pages the file should have for a transaction and some time after it. */
  #wanted(work: Work, purpose: Purpose): number {
    const { last, size } = this.#pages
    return Math.ceil(last + 1 + this.#pages.most(work) + (RESERVES[purpose] + aheadOf(last * size)) / size)
  }

  /** Extends the file beside the transaction, when less than half of what should be ahead is. */
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
   * Extends the file to so many pages, or as far as the disk has room. Whoever calls it notes it in `#extending`.
   * @param left what is left to other users of the disk, in bytes
   */
  async #extend(pages: number, left = LEFT_TO_OTHERS): Promise<void> {
    try {
      if (performance.now() - this.#fullAt < RETRY || this.#closed) return
      if (!this.#isFilled) this.#fillHoles()
      if (Math.floor(fstatSync(this.#descriptor).size / this.#pages.size) !== this.#allocated)
        throw new Error('another process writes the file')
      const { bavail, bsize } = await statFileSystem(this.#folder)
      const end = Math.min(pages * this.#pages.size, this.#allocated * this.#pages.size + bavail * bsize - left)
      for (let at = this.#allocated * this.#pages.size; at < end;) {
        const { bytesWritten } = await writeFile(this.#descriptor, zeroes, 0, Math.min(CHUNK, end - at), at)
        at += bytesWritten
        this.#allocated = Math.floor(at / this.#pages.size)
      }
      if (this.#allocated < pages) throw new Error('the disk is full')
    } catch (err) {
      this.#fullAt = performance.now()
      this.#reason = err instanceof Error ? err.message : String(err)
    } finally {
      this.#extending = undefined
    }
  }

  /**
   * Gives every page of a sparse file its place on the disk: a copy may have left out pages of zeroes. LMDB does not
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

/** How much room should be ahead of so many bytes that are used. */
function aheadOf(used: number): number {
  return Math.min(AHEAD.max, Math.max(AHEAD.min, used * AHEAD.share))
}
