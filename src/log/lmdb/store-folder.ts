/** The folder of an LMDB log: its files, and the checks before LMDB opens them. */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs'
import { join } from 'node:path'
import { isSound } from './data-file.js'
import { makeFolder } from './folder.js'
import { asStoreError, messageOf, REMEDY, StoreError } from './store-error.js'

export const DATA_FILE = 'data.mdb'
export const LOCK_FILE = 'lock.mdb'
/** The size of LMDB's lock file, for 126 readers, in bytes. */
const LOCK_BYTES = 12 * 1024
/** The smallest size of a new log, in bytes. */
const ROOM = 512 * 1024
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512
/** The open descriptors of this process, on Linux, macOS and BSD. */
const DESCRIPTORS = '/dev/fd'

/**
 * Checks that this process does not have the folder open. LMDB marks the readers of a process with a lock on its lock
 * file, and the kernel drops all locks of a process on a file when the process closes any descriptor of it (fcntl(2),
 * "Record locks"). Opening the folder again closes one. Other processes would then take the readers of this process for
 * dead, and overwrite the pages that they read.
 * @throws StoreError if any thread of this process has the folder open
 */
export function requireUnopened(folder: string): void {
  const lock = lockFileOf(folder)
  if (!lock || !existsSync(DESCRIPTORS)) return
  for (const name of readdirSync(DESCRIPTORS)) {
    try {
      const { dev, ino } = fstatSync(Number(name), { bigint: true })
      if (dev !== lock.dev || ino !== lock.ino) continue
    } catch {
      continue // the descriptor of the list itself is closed
    }
    throw new StoreError(
      `The log in ${folder} is in use by this process. Open a folder once in a process, and publish with the hub or the publisher that has opened it.`,
    )
  }
}

/** Returns the lock file of a folder; `undefined` if there is none, or the folder cannot be used (`checkFolder`). */
function lockFileOf(folder: string): BigIntStats | undefined {
  try {
    return statSync(join(folder, LOCK_FILE), { bigint: true })
  } catch {
    return undefined
  }
}

/**
 * Creates the folder if it does not exist, and checks its files: LMDB maps the data file into memory, and may end the
 * process if the file is not an LMDB file.
 * @returns whether the folder has a log
 * @throws StoreError if the folder cannot be used
 */
export function checkFolder(folder: string, readOnly = false): boolean {
  const file = join(folder, DATA_FILE)
  try {
    if (!readOnly) makeFolder(folder)
    if (!existsSync(file)) {
      if (readOnly) throw new StoreError(`There is no log in ${folder}.`)
      requireRoom(folder)
      makeLockFile(folder)
      return false
    }
    makeLockFile(folder, readOnly)
    if (!readOnly && isSparse(join(folder, LOCK_FILE))) requireRoom(folder)
    const isEmpty = statSync(file).size === 0
    if (isEmpty ? !readOnly : isSound(file)) return !isEmpty
  } catch (err) {
    if (err instanceof StoreError) throw asStoreError(folder, err)
    throw new StoreError(
      `The folder ${folder} cannot be used for the log (${messageOf(err)}). Check that it is a folder, and that this user may write to it.`,
      { cause: err },
    )
  }
  throw new StoreError(`${file} is no log, or is damaged. ${REMEDY}`)
}

/**
 * Creates LMDB's lock file with blocks on the disk, if it does not exist. LMDB maps the file into memory, and writing a
 * page without a block on a full disk would end the process.
 */
function makeLockFile(folder: string, readOnly = false): void {
  const file = join(folder, LOCK_FILE)
  try {
    writeFileSync(file, Buffer.alloc(LOCK_BYTES), { flag: 'wx', mode: 0o664 })
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    // LMDB ends the process when it cannot open the file, for example if another user owns it
    if (code === 'EEXIST' && !readOnly) return closeSync(openSync(file, 'r+'))
    // LMDB reports these errors itself
    if (code === 'EEXIST' || (readOnly && code !== 'ENOSPC' && code !== 'EDQUOT')) return
    if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(file, { force: true })
    throw err
  }
}

/**
 * Checks that the disk has room for a new log. LMDB creates the file itself, before `Room` can extend it, and can end
 * the process if the disk is full.
 * @throws the error of the system if there is no room
 */
export function requireRoom(folder: string): void {
  const file = join(folder, 'room')
  try {
    writeFileSync(file, Buffer.alloc(ROOM), { flush: true })
  } finally {
    rmSync(file, { force: true })
  }
}

/** Returns whether a file is missing, or lacks blocks on the disk. */
function isSparse(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false })
  return !stats || stats.blocks * BLOCK < stats.size
}
