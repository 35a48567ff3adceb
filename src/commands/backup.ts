/** `fanfare backup`: copies a log consistently, even while a hub uses it. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { drawEpoch } from '../model/cursor.js'
import { NO_WORK } from '../log/lmdb/pages.js'
import { Room } from '../log/lmdb/room.js'
import { StoreError } from '../log/lmdb/store-error.js'
import { checkFolder } from '../log/lmdb/store-folder.js'
import { openStore } from '../log/lmdb/store.js'
import type { Process } from './command.js'

/**
 * Copies a log into a new folder. The copy gets a new epoch. If the copy replaces the original, it lacks later events
 * and assigns their sequences again, so old cursors must not be valid in the copy.
 */
export async function backup(folder: string, to: string, { stdout }: Process): Promise<void> {
  if (existsSync(to) && (!statSync(to).isDirectory() || readdirSync(to).length > 0))
    throw new StoreError(`${to} is not an empty folder: name an empty or a new folder for the copy.`)
  checkFolder(folder, true)
  checkFolder(to)
  const tables = openStore(folder, { durability: 'sync', readOnly: true })
  try {
    await tables.root.backup(to, true)
  } catch (err) {
    rmSync(join(to, 'data.mdb'), { force: true })
    throw new StoreError(
      `${folder} could not be copied to ${to}: ${err instanceof Error ? err.message : String(err)}.`,
      { cause: err },
    )
  } finally {
    await tables.root.close()
  }
  const copy = openStore(to, { durability: 'sync' })
  const room = new Room(to, copy)
  const epoch = drawEpoch()
  try {
    if (!(await room.make(NO_WORK, 'session')))
      throw new StoreError(`${folder} could not be copied to ${to}: the disk is full.`)
    await copy.root.transaction(() => copy.meta.putSync('epoch', epoch))
  } finally {
    await room.close()
    await copy.root.close()
  }
  stdout.write(`${folder} was copied to ${to} (epoch ${epoch}).\n`)
}
