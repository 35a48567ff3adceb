/** Copies a log into another folder. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { drawEpoch } from '../../model/cursor.js'
import { NO_WORK } from './pages.js'
import { Room } from './room.js'
import { messageOf, StoreError } from './store-error.js'
import { checkFolder, DATA_FILE, LOCK_FILE } from './store-folder.js'
import { openForReading, openStore } from './store.js'
import { transact } from './transaction.js'

/**
 * Copies a log consistently, even while a hub uses it. The copy gets a new epoch: it lacks later events of the original
 * and assigns their sequences again, so cursors of the original must not be valid in the copy.
 * @param to a folder without a log; it is created if it does not exist
 * @returns the epoch of the copy
 * @throws StoreError if a folder cannot be used, or the disk is full; `to` has no log then
 */
export async function copyStore(from: string, to: string): Promise<string> {
  checkFolder(from, true)
  checkFolder(to)
  try {
    await copyPages(from, to)
    return await beginEpoch(from, to)
  } catch (err) {
    for (const name of [DATA_FILE, LOCK_FILE]) rmSync(join(to, name), { force: true })
    throw err
  }
}

async function copyPages(from: string, to: string): Promise<void> {
  const tables = openForReading(from)
  try {
    await tables.root.backup(to, true)
  } catch (err) {
    throw new StoreError(`${from} could not be copied to ${to}: ${messageOf(err)}.`, { cause: err })
  } finally {
    await tables.close()
  }
}

async function beginEpoch(from: string, to: string): Promise<string> {
  const copy = openStore(to, 'sync')
  const room = new Room(to, copy)
  const epoch = drawEpoch()
  try {
    if (!(await room.make(NO_WORK, 'session')))
      throw new StoreError(`${from} could not be copied to ${to}: the disk is full.`)
    await transact(copy, 'sync', () => copy.meta.putSync('epoch', epoch))
  } finally {
    await room.close()
    await copy.close()
  }
  return epoch
}
