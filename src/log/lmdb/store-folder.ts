/** The folder of a file log: its files, and what is checked before LMDB opens them. */
import { closeSync, existsSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isSound } from './data-file.js'
import { makeFolder } from './folder.js'
import { asStoreError, messageOf, REMEDY, StoreError } from './store-error.js'

export const DATA_FILE = 'data.mdb'
export const LOCK_FILE = 'lock.mdb'
/** What LMDB's lock file takes, with room for 126 readers, in bytes. */
const LOCK_BYTES = 12 * 1024
/** What a new log takes at least, in bytes. */
const ROOM = 512 * 1024
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512

/**
 * Makes the folder when it is not there, and looks at what is in it: LMDB maps its file into memory, and what is no
 * LMDB file must not get that far.
 * @throws StoreError
 */
export function checkFolder(folder: string, readOnly = false): void {
  const file = join(folder, DATA_FILE)
  try {
    if (!readOnly) makeFolder(folder)
    if (!existsSync(file)) {
      if (readOnly) throw new StoreError(`There is no log in ${folder}.`)
      requireRoom(folder)
      makeLockFile(folder)
      return
    }
    makeLockFile(folder, readOnly)
    if (!readOnly && isSparse(join(folder, LOCK_FILE))) requireRoom(folder)
    if (statSync(file).size === 0 ? !readOnly : isSound(file)) return
  } catch (err) {
    if (err instanceof StoreError) throw asStoreError(folder, err)
    throw new StoreError(
      `The folder ${folder} cannot be used for the log (${messageOf(err)}). Check that it exists, is a folder, and may be written by this user.`,
      { cause: err },
    )
  }
  throw new StoreError(`${file} is no log, or is damaged. ${REMEDY}`)
}

/**
 * Makes LMDB's lock file, when it is missing, with all its bytes on the disk. LMDB maps the file into memory, and a
 * page of it that has no room on the disk would end the process when it is written.
 */
function makeLockFile(folder: string, readOnly = false): void {
  const file = join(folder, LOCK_FILE)
  try {
    writeFileSync(file, Buffer.alloc(LOCK_BYTES), { flag: 'wx', mode: 0o664 })
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    // LMDB ends the process when it cannot open the file, such as one of another user
    if (code === 'EEXIST' && !readOnly) return closeSync(openSync(file, 'r+'))
    // LMDB says what it makes of it
    if (code === 'EEXIST' || (readOnly && code !== 'ENOSPC' && code !== 'EDQUOT')) return
    if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(file, { force: true })
    throw err
  }
}

/**
 * A new log is written by LMDB before there is a file in which room can be kept. LMDB can end the process when the disk
 * is full.
 * @throws when so much cannot be written
 */
export function requireRoom(folder: string): void {
  const file = join(folder, 'room')
  try {
    writeFileSync(file, Buffer.alloc(ROOM), { flush: true })
  } finally {
    rmSync(file, { force: true })
  }
}

/** Whether a file is missing, or some of it has not been given room on the disk. */
function isSparse(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false })
  return !stats || stats.blocks * BLOCK < stats.size
}
