/** The folder of a file log: an LMDB environment, its tables, and what is checked before it is used. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb'
import { drawEpoch } from '../../model/cursor.js'
import type { Durability } from '../durability.js'
import { checkedValues } from './checked-values.js'
import { Damage } from './damage.js'
import { isSound } from './data-file.js'
import { EventsTable } from './events-table.js'
import { makeFolder } from './folder.js'
import { StoreError } from './store-error.js'

export type { Durability }

/** The layout of the tables; a store with another one is refused. */
const FORMAT = 2
export const DATA_FILE = 'data.mdb'
export const LOCK_FILE = 'lock.mdb'
/** What LMDB's lock file takes, with room for 126 readers, in bytes. */
const LOCK_BYTES = 12 * 1024
const EPOCH = /^[a-z0-9]{8}$/
/** What a new log takes at least, in bytes. */
const ROOM = 512 * 1024
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512
/**
 * A topic as it is stored: its id, how many events and bytes it has, its newest sequence, the newest that was trimmed,
 * and the checksum of its name.
 */
export type TopicRow = [id: number, events: number, bytes: number, newest: number, trimmed: number, sum: number]
/**
 * The whole log: newest sequence, events, bytes, newest topic id, newest sequence trimmed, newest that was forgotten of
 * topics without events, up to where events are indexed and counted by topic, and the checksum of all these.
 */
export type TotalsRow = [
  head: number,
  events: number,
  bytes: number,
  topicIds: number,
  trimmed: number,
  forgotten: number,
  indexed: number,
  sum: number,
]

/** The tables. All of them are changed in one transaction, so each is always what the others say. */
export interface Tables {
  root: RootDatabase
  /** What was found damaged. */
  damage: Damage
  /** `format`, `epoch`, `totals`, `session`, `owner`, `clock`, `records` (how many transactions have changed those). */
  meta: Database<unknown, string>
  /** Sequence → event. */
  events: EventsTable
  /**
   * [topic id, sequence] → size and whether the event has a publisher's id (`fromIndexEntry`): which events a topic
   * has, up to what `totals` says; the few behind that are in memory.
   */
  index: Database<number, [number, number]>
  /** Topic → what it had when this was written: at the latest when its events were indexed. */
  topics: Database<TopicRow, string>
  /** [topic, publisher id] → [sequence, time]. */
  ids: Database<[number, number], [string, string]>
  /** [time, topic, publisher id] → sequence: ids whose events are trimmed, and when they may be forgotten. */
  orphanIds: Database<number, [number, string, string]>
  /** Topic that has no events left → [topic id, newest sequence trimmed]. */
  emptied: Database<[number, number], string>
  /** The same by sequence. */
  emptiedBySequence: Database<string, number>
  /** Whatever else is kept: key → value and when it expires (`FileRecords`). */
  records: Database<unknown, string>
  /** [time, key] → 0: the records that expire. */
  recordEnds: Database<number, [number, string]>
}

/** What is read at the moment: another transaction after each interruption. It holds what the state says. */
export interface Snapshot {
  transaction: Transaction
}

/** The checksum of a name. */
export function sumOf(name: string): number {
  return crc32(name)
}

const totalsSummed = new Float64Array(7)

function sumOfTotals(row: readonly unknown[]): number {
  for (let n = 0; n < totalsSummed.length; n++) totalsSummed[n] = Number(row[n])
  return crc32(totalsSummed)
}

/** Totals with their checksum. */
export function toTotalsRow(
  totals: [
    head: number,
    events: number,
    bytes: number,
    topicIds: number,
    trimmed: number,
    forgotten: number,
    indexed: number,
  ],
): TotalsRow {
  return [...totals, sumOfTotals(totals)]
}

/** Whether a value is totals whose checksum fits. */
export function isTotalsRow(row: unknown): row is TotalsRow {
  return Array.isArray(row) && row.length === totalsSummed.length + 1 && row[totalsSummed.length] === sumOfTotals(row)
}

/** What the store was last used for. */
interface Session {
  durability: Durability
  bootId: string
  closed: boolean
}

export interface OpenOptions {
  durability: Durability
  readOnly?: boolean
}

/**
 * Opens a folder's tables, and makes them when there are none.
 * @throws StoreError when the folder cannot be used, naming it and what to do
 */
export function openStore(folder: string, { durability, readOnly = false }: OpenOptions): Tables {
  let tables: Tables
  try {
    tables = openTables(folder, durability, readOnly)
  } catch (err) {
    throw asStoreError(folder, err)
  }
  try {
    checkFormat(folder, tables)
    const epoch = tables.meta.get('epoch')
    if (epoch !== undefined && !(typeof epoch === 'string' && EPOCH.test(epoch)))
      throw new StoreError(`The epoch of the log in ${folder} is damaged. ${REMEDY}`)
  } catch (err) {
    void tables.root.close()
    throw asStoreError(folder, err)
  }
  return tables
}

const REMEDY = 'Restore a backup, or move the folder away to begin with an empty log.'

/** Says of any error which folder it is about, and what to do. */
export function asStoreError(folder: string, err: unknown): StoreError {
  if (err instanceof StoreError)
    return err.message.includes(folder)
      ? err
      : new StoreError(`The log in ${folder} cannot be used: ${err.message} ${REMEDY}`, { cause: err })
  return new StoreError(
    `The log in ${folder} cannot be opened (${messageOf(err)}). Check the folder's owner and the disk. If it is damaged: ${REMEDY}`,
    { cause: err },
  )
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

/** Options of a table whose values have checksums; lmdb's types leave out `encoder`. */
function checked(name: string): { name: string } {
  const options = { name, encoder: checkedValues }
  return options
}

function openTables(folder: string, durability: Durability, readOnly: boolean): Tables {
  const root = open({
    path: folder,
    noSubdir: false,
    maxDbs: 16,
    readOnly,
    overlappingSync: false, // a transaction is done when it is flushed, not before
    // the writer groups by itself; and with it, a failed commit rejects a promise that nobody can catch
    eventTurnBatching: false,
    noSync: durability === 'commit',
  })
  const damage = new Damage()
  return {
    root,
    damage,
    meta: root.openDB({ name: 'meta' }),
    events: new EventsTable(root, damage),
    index: root.openDB({ name: 'index' }),
    topics: root.openDB(checked('topics')),
    ids: root.openDB(checked('ids')),
    orphanIds: root.openDB(checked('orphan-ids')),
    emptied: root.openDB(checked('emptied')),
    emptiedBySequence: root.openDB(checked('emptied-by-sequence')),
    records: root.openDB(checked('records')),
    recordEnds: root.openDB({ name: 'record-ends' }),
  }
}

/**
 * Makes the folder when it is not there, and looks at what is in it: LMDB maps its file into memory, and what is no
 * LMDB file must not get that far.
 * @throws StoreError
 */
export function checkFolder(folder: string, readOnly = false): void {
  const file = join(folder, DATA_FILE)
  try {
    if (!readOnly) makeFolder(folder)
    if (!existsSync(file)) {
      if (readOnly) throw new StoreError(`There is no log in ${folder}.`)
      requireRoom(folder)
      makeLockFile(folder)
      return
    }
    makeLockFile(folder, readOnly)
    if (!readOnly && isSparse(join(folder, LOCK_FILE))) requireRoom(folder)
    if (statSync(file).size === 0 ? !readOnly : isSound(file)) return
  } catch (err) {
    if (err instanceof StoreError) throw asStoreError(folder, err)
    throw new StoreError(
      `The folder ${folder} cannot be used for the log (${messageOf(err)}). Check that it exists, is a folder, and may be written by this user.`,
      { cause: err },
    )
  }
  throw new StoreError(`${file} is no log, or is damaged. ${REMEDY}`)
}

/**
 * Makes LMDB's lock file, when it is missing, with all its bytes on the disk. LMDB maps the file into memory, and a
 * page of it that has no room on the disk would end the process when it is written.
 */
function makeLockFile(folder: string, readOnly = false): void {
  const file = join(folder, LOCK_FILE)
  try {
    writeFileSync(file, Buffer.alloc(LOCK_BYTES), { flag: 'wx', mode: 0o664 })
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    // LMDB ends the process when it cannot open the file, such as one of another user
    if (code === 'EEXIST' && !readOnly) return closeSync(openSync(file, 'r+'))
    // LMDB says what it makes of it
    if (code === 'EEXIST' || (readOnly && code !== 'ENOSPC' && code !== 'EDQUOT')) return
    if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(file, { force: true })
    throw err
  }
}

/**
 * A new log is written by LMDB before there is a file in which room can be kept. LMDB can end the process when the disk
 * is full.
 * @throws when so much cannot be written
 */
export function requireRoom(folder: string): void {
  const file = join(folder, 'room')
  try {
    writeFileSync(file, Buffer.alloc(ROOM), { flush: true })
  } finally {
    rmSync(file, { force: true })
  }
}

/** Whether a file is missing, or some of it has not been given room on the disk. */
function isSparse(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false })
  return !stats || stats.blocks * BLOCK < stats.size
}

function checkFormat(folder: string, { meta, events }: Tables): void {
  const format = meta.get('format')
  const hasBegun = meta.get('epoch') !== undefined && meta.get('totals') !== undefined
  if (format === FORMAT && hasBegun) return
  // a new one
  if (format === undefined && !hasBegun && (events.getStats() as { entryCount: number }).entryCount === 0) return
  if (format === undefined || format === FORMAT)
    throw new StoreError(`The log in ${folder} is damaged: what it says of itself is incomplete. ${REMEDY}`)
  if (typeof format === 'number' && format < FORMAT) {
    throw new StoreError(
      `The log in ${folder} has format ${format}, which no release of Fanfare has written: this version reads format ${FORMAT} only. Move the folder away to begin with an empty log.`,
    )
  }
  throw new StoreError(
    `The log in ${folder} has format ${JSON.stringify(format)}, and this version of Fanfare knows ${FORMAT}. Use the version that wrote it, or a newer one.`,
  )
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

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
