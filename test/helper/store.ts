/** Stores on disk, to be copied as a kill leaves them and to be spoiled. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { FileLog } from '../../src/log/file.js'

/** The size of LMDB's pages. */
export const PAGE = 4_096

/** What a folder holds at this moment, as a folder of its own: what is found there when its process is killed now. */
export function killedCopy(folder: string): string {
  const copy = `${folder}-copy-${Math.random().toString(36).slice(2)}`
  mkdirSync(copy)
  copyFileSync(`${folder}/data.mdb`, `${copy}/data.mdb`)
  return copy
}

/** Changes the bytes of a store's file. What is answered takes their place. */
export function spoil(folder: string, change: (bytes: Buffer) => Uint8Array): void {
  const file = `${folder}/data.mdb`
  writeFileSync(file, change(readFileSync(file)))
}

/** Makes a closed store of so many events in five topics. */
export async function makeStore(folder: string, events: number): Promise<void> {
  const log = await FileLog.open({ folder, durability: 'commit', retention: { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 } })
  await log.append(Array.from({ length: events }, (_, n) => ({ topic: `t.${n % 5}`, type: undefined, id: `id ${n}`, kind: 'text', payload: `${n} ${'x'.repeat(n % 100)}` })))
  await log.close()
}
