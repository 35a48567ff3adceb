/** One use of a store, from when it is opened until it is closed: how the last one ended decides about the epoch. */
import { readFileSync } from 'node:fs'
import { drawEpoch } from '../../model/cursor.js'
import type { Durability } from '../durability.js'
import { FORMAT } from './store.js'
import { messageOf, StoreError } from './store-error.js'
import type { Tables } from './tables.js'
import { toTotalsRow } from './totals.js'

/** What the store was last used for. */
interface Session {
  durability: Durability
  bootId: string
  closed: boolean
}

/**
 * A new store gets its epoch. So does one that was used with `commit` when the machine stopped: what had been
 * acknowledged may be gone, and its sequences must not be used again, so every cursor is of another epoch.
 * @throws StoreError when the store cannot be written
 */
export function beginSession(folder: string, tables: Tables, durability: Durability): void {
  const { meta, root } = tables
  const bootId = readBootId()
  const last = readSession(meta)
  const mayLackEvents = last?.durability === 'commit' && !last.closed && last.bootId !== bootId
  try {
    root.transactionSync(() => {
      meta.putSync('format', FORMAT)
      if (meta.get('epoch') === undefined || mayLackEvents) meta.putSync('epoch', drawEpoch())
      if (meta.get('totals') === undefined) meta.putSync('totals', toTotalsRow([0, 0, 0, 0, 0, 0, 0]))
      meta.putSync('session', { durability, bootId, closed: false } satisfies Session)
    })
  } catch (err) {
    throw new StoreError(
      `The log in ${folder} cannot be written (${messageOf(err)}). Check the folder's owner and the room on its disk.`,
      { cause: err },
    )
  }
}

/**
 * Notes that everything was written, and closes.
 * @param mayWrite there is room for it, and the folder is still this process's. Else it is as if the process had been
 *   killed
 */
export async function closeStore(tables: Tables, mayWrite: boolean): Promise<void> {
  const session = readSession(tables.meta)
  // in this thread: a process that is told meanwhile to exit at once can do so after it
  if (mayWrite) tables.root.transactionSync(() => tables.meta.putSync('session', { ...session, closed: true }))
  await tables.root.close()
}

/** What the store was last used for; when that cannot be read, the worst is assumed. */
function readSession(meta: Tables['meta']): Session | undefined {
  try {
    const session = meta.get('session')
    if (session === undefined) return undefined
    if (isSession(session)) return session
  } catch {
    // damaged
  }
  return { durability: 'commit', bootId: 'unknown', closed: false }
}

function isSession(value: unknown): value is Session {
  if (typeof value !== 'object' || value === null) return false
  const { durability, bootId, closed } = value as Record<keyof Session, unknown>
  return (durability === 'sync' || durability === 'commit') && typeof bootId === 'string' && typeof closed === 'boolean'
}

/** Changes when the machine starts anew; where there is none, every start counts as one. */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `unknown-${Date.now()}`
  }
}
