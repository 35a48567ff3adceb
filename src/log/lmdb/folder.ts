/** Makes a folder, and those that it is in. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder for its user alone. Node's own `recursive` never returns below /proc, where a folder that is there has
 * none made in it.
 * @throws the system's error
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
