/** `fanfare restore`: puts a copy of a log in the place of a log. */
import { existsSync, linkSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { copyStore } from '../log/lmdb/copy-store.js'
import { makeFolder } from '../log/lmdb/folder.js'
import { requireUnused } from '../log/lmdb/lock.js'
import { messageOf, StoreError } from '../log/lmdb/store-error.js'
import { DATA_FILE, LOCK_FILE } from '../log/lmdb/store-folder.js'
import type { Process } from './command.js'

/**
 * Puts a copy of the log in `copy` into `folder`, which no hub may use meanwhile. The restored log gets a new epoch, so
 * a copy can be restored repeatedly. The copy is complete before the old log is touched.
 */
export async function restore(
  copy: string,
  folder: string,
  { replace = false }: { replace?: boolean | undefined },
  { stdout }: Process,
): Promise<void> {
  const file = join(folder, DATA_FILE)
  const isThere = existsSync(file)
  if (isThere && !replace)
    throw new StoreError(`${folder} has a log already. With --replace, restore keeps it in another file beside it.`)
  makeUsable(folder)
  await requireUnused(folder)
  const work = mkdtempSync(join(folder, 'restore-'))
  try {
    const epoch = await copyStore(copy, work)
    await requireUnused(folder) // a hub may have started meanwhile
    const old = isThere ? keep(folder, file) : undefined
    rmSync(join(folder, LOCK_FILE), { force: true })
    renameSync(join(work, DATA_FILE), file)
    stdout.write(`${copy} was restored to ${folder} (epoch ${epoch}).\n`)
    if (old !== undefined) stdout.write(`The old log is ${old}. Remove it when you do not need it any more.\n`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** @throws StoreError if the folder does not exist and cannot be created */
function makeUsable(folder: string): void {
  try {
    makeFolder(folder)
  } catch (err) {
    throw new StoreError(`The folder ${folder} cannot be used for the log (${messageOf(err)}).`, { cause: err })
  }
}

/**
 * Gives the file of the old log a second name, which is free. The file keeps its first name until the restored log
 * takes it, so the folder has a log at every moment.
 */
function keep(folder: string, file: string): string {
  for (let n = 1; ; n++) {
    const old = join(folder, `replaced-${n}.mdb`)
    if (existsSync(old)) continue
    linkSync(file, old)
    return old
  }
}
