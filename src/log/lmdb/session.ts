/**
 * Sessions of a store, each from opening to closing it. The end of the last session decides whether the store keeps its
 * epoch.
 */
import { readFileSync } from 'node:fs'
import { drawEpoch } from '../../model/cursor.js'
import type { Durability } from '../durability.js'
import { FORMAT } from './store.js'
import { messageOf, StoreError } from './store-error.js'
import type { Tables, WritableTables } from './tables.js'
import { NO_TOTALS, toTotalsRow } from './totals.js'
import { transactSync } from './transaction.js'

/** The last session of the store. */
interface Session {
  durability: Durability
  bootId: string
  closed: boolean
}

/**
 * Begins a session. A new store gets an epoch. A store that was in use with `commit` when the machine stopped gets a
 * new epoch: it may have lost acknowledged events, and will assign their sequences again, so older cursors must not
 * match.
 * @param isContinued whether this process has used the store since the last session: the machine has not stopped
 * @throws StoreError if the store cannot be written
 */
export function beginSession(
  folder: string,
  tables: WritableTables,
  durability: Durability,
  isContinued: boolean,
): void {
  const { meta } = tables
  const bootId = readBootId()
  const last = readSession(meta)
  const mayLackEvents = !isContinued && last?.durability === 'commit' && !last.closed && last.bootId !== bootId
  try {
    transactSync(tables, () => {
      meta.putSync('format', FORMAT)
      if (meta.get('epoch') === undefined || mayLackEvents) meta.putSync('epoch', drawEpoch())
      if (meta.get('totals') === undefined) meta.putSync('totals', toTotalsRow(NO_TOTALS))
      meta.putSync('session', { durability, bootId, closed: false } satisfies Session)
    })
  } catch (err) {
    throw new StoreError(
      `The log in ${folder} cannot be written (${messageOf(err)}). Check the folder's owner and the room on its disk.`,
      { cause: err },
    )
  }
}

/** Ends the session. It is synchronous, so that an exit of the process cannot interrupt it. */
export function endSession(tables: WritableTables): void {
  const { meta } = tables
  const session = readSession(meta)
  transactSync(tables, () => meta.putSync('session', { ...session, closed: true }))
}

/** Whether the last session has ended: its process has closed the log. */
export function hasEnded(meta: Tables['meta']): boolean {
  return readSession(meta)?.closed === true
}

/** Reads the last session. A damaged row counts as an open session with `commit` from before a restart. */
function readSession(meta: Tables['meta']): Session | undefined {
  try {
    const session = meta.get('session')
    if (session === undefined) return undefined
    if (isSession(session)) return session
  } catch {
    // the row is damaged
  }
  return { durability: 'commit', bootId: 'unknown', closed: false }
}

function isSession(value: unknown): value is Session {
  if (typeof value !== 'object' || value === null) return false
  const { durability, bootId, closed } = value as Record<keyof Session, unknown>
  return (durability === 'sync' || durability === 'commit') && typeof bootId === 'string' && typeof closed === 'boolean'
}

/**
 * Returns an id that changes when the machine restarts. If the system has none, each start of the process counts as a
 * restart.
 */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `unknown-${Date.now()}`
  }
}
