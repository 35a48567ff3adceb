/** The files that a folder leads to. It leads to others once it is moved, restored or mounted again. */
import { statSync, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { DATA_FILE, LOCK_FILE } from './store-folder.js'

/** The device and inode of each file of a log. A read-only file system may have no lock file: ''. */
export type FolderFiles = Readonly<Record<typeof DATA_FILE | typeof LOCK_FILE, string>>

/** The error of a folder that another process has taken, or that was removed or replaced. */
export class LostFolderError extends Error {
  override name = 'LostFolderError'
  /** What has happened, in words for publishers: without the path of the folder. */
  readonly reason: string

  constructor(message: string, reason: string) {
    super(message)
    this.reason = reason
  }
}

/** Returns the files in a folder; `undefined` if there is no data file. */
export function filesIn(folder: string): FolderFiles | undefined {
  const data = statSync(join(folder, DATA_FILE), { bigint: true, throwIfNoEntry: false })
  const lock = statSync(join(folder, LOCK_FILE), { bigint: true, throwIfNoEntry: false })
  return data && { [DATA_FILE]: identify(data), [LOCK_FILE]: lock ? identify(lock) : '' }
}

/** Returns whether a folder leads to the given files. */
export function hasFiles(folder: string, files: FolderFiles): boolean {
  const found = filesIn(folder)
  return found?.[DATA_FILE] === files[DATA_FILE] && found[LOCK_FILE] === files[LOCK_FILE]
}

/** Returns the device and inode of a file. */
export function identify({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`
}

/** Returns the error of a folder that no longer leads to the files that this process has open. */
export function replaced(folder: string): LostFolderError {
  return new LostFolderError(
    `The folder ${folder} was removed, moved or replaced while the log was in use. Put it back, or restart the hub.`,
    'the folder of the log was removed, moved or replaced',
  )
}
