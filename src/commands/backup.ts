/** `fanfare backup`: copies a log consistently, even while a hub uses it. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { copyStore } from '../log/lmdb/copy-store.js'
import { StoreError } from '../log/lmdb/store-error.js'
import type { Process } from './command.js'

/** Copies a log into a new folder. The copy gets a new epoch. */
export async function backup(folder: string, to: string, { stdout }: Process): Promise<void> {
  if (existsSync(to) && (!statSync(to).isDirectory() || readdirSync(to).length > 0))
    throw new StoreError(`${to} is not an empty folder: name an empty or a new folder for the copy.`)
  const epoch = await copyStore(folder, to)
  stdout.write(`${folder} was copied to ${to} (epoch ${epoch}).\n`)
}
