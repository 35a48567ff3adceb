/** Stores on disk that tests copy as a kill leaves them, or damage. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { FileLog } from '../../src/log/lmdb/lmdb-log.js'

/** The size of LMDB's pages. */
export const PAGE = 4_096

/** Copies a folder as a kill of its process would leave it now. Returns the copy. */
export function killedCopy(folder: string): string {
  const copy = `${folder}-copy-${Math.random().toString(36).slice(2)}`
  mkdirSync(copy)
  copyFileSync(`${folder}/data.mdb`, `${copy}/data.mdb`)
  return copy
}

/** Replaces the bytes of a store's file. */
export function spoil(folder: string, change: (bytes: Buffer) => Uint8Array): void {
  const file = `${folder}/data.mdb`
  writeFileSync(file, change(readFileSync(file)))
}

/** Creates a closed store of events in five topics. */
export async function makeStore(folder: string, events: number): Promise<void> {
  const log = await FileLog.open({
    folder,
    durability: 'commit',
    retention: { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 },
  })
  await log.append(
    Array.from({ length: events }, (_, n) => ({
      topic: `t.${n % 5}`,
      type: undefined,
      id: `id ${n}`,
      kind: 'text',
      payload: `${n} ${'x'.repeat(n % 100)}`,
    })),
  )
  await log.close()
}

/**
 * Creates a closed store of events of all sizes, texts and bytes, with and without types, ids and attributes.
 * @returns the events as sequence, topic, type, id, attributes, time, kind, length and beginning of the payload
 */
export async function makeMixedStore(folder: string, topics: number, events: number): Promise<unknown[][]> {
  const now = 1_700_000_000_000
  const log = await FileLog.open({
    folder,
    durability: 'commit',
    retention: { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 },
    now: () => now,
  })
  const expected: unknown[][] = []
  for (let n = 0; n < events; n++) {
    const topic = `t.${(n * 7_919) % topics}`
    const type = n % 3 === 0 ? 'created' : undefined
    const id = n % 4 === 0 ? `id ${n}` : undefined
    const attributes = n % 5 === 0 ? `{"n":"${n}"}` : undefined
    const kind = n % 7 === 0 ? 'bytes' : 'text'
    const text = `${n} `.padEnd(n % 50 === 0 ? 5_000 : 10 + (n % 300), 'x')
    const payload = kind === 'bytes' ? Buffer.from(text).toString('base64') : text
    const appended = log.append([{ topic, type, id, attributes, kind, payload }])
    if (n % 200 === 199) await appended
    const fields = [topic, type ?? null, id ?? null, attributes ?? null]
    expected.push([n + 1, ...fields, now, kind, payload.length, payload.slice(0, 20)])
  }
  await log.close()
  return expected
}

/** Returns the bytes of a store's file that LMDB uses. The rest of the file is reserved. */
export function usedBytes(folder: string): number {
  const bytes = readFileSync(`${folder}/data.mdb`)
  const last = (meta: number): { transaction: bigint; page: bigint } => ({
    transaction: bytes.readBigUInt64LE(meta * PAGE + 152),
    page: bytes.readBigUInt64LE(meta * PAGE + 144),
  })
  const [first, second] = [last(0), last(1)]
  return (Number((second.transaction > first.transaction ? second : first).page) + 1) * PAGE
}
