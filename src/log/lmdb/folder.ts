/** Creates a folder and its parents. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Creates a folder that only its owner can use, and its parents. Node's `recursive` option cannot do this: it never
 * returns below /proc, where an existing folder refuses new ones.
 * @throws the error of the system
 */
export function makeFolder(folder: string): void {
  const path = resolve(folder)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    const parent = dirname(path)
    if (code !== 'ENOENT' || existsSync(parent)) throw err
    makeFolder(parent)
    mkdirSync(path, { mode: 0o700 })
  }
}
