/** The folder of a file log: an LMDB environment, its tables, and what is checked before it is used. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb'
import { drawEpoch } from '../../hub/cursor.js'
import type { Durability } from '../durability.js'
import { makeFolder } from './folder.js'
import { StoreError } from './store-error.js'

export type { Durability }

/** The layout of the tables; a store with a greater one is refused. */
const FORMAT = 1
const DATA_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
/** What a new log takes at least, in bytes. */
const ROOM = 128 * 1024
/** The unit of `Stats.blocks`, in bytes. */
const BLOCK = 512
/** LMDB's mark (`MDB_MAGIC`), and where it and what else is needed lie in each of the two pages that a file begins with. */
const LMDB_MAGIC = 0xbeefc0de
const META_PAGE = { magic: 24, pageSize: 48, roots: [88, 136], lastPage: 144, transaction: 152, bytes: 160 }
/** Where a page says which one it is, and of what kind; a table begins with a branch or a leaf, or has no page at all. */
const PAGE = { number: 0, flags: 18, bytes: 20 }
const TREE_PAGES = [0x01, 0x02]
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** How often the file is looked at again when somebody has written it meanwhile. */
const ATTEMPTS = 20

/** An event as it is stored: topic, time, whether it is text, type, publisher id, payload. */
export type EventRow = [topic: string, time: number, isText: boolean, type: string | null, id: string | null, payload: string]
/** A topic as it is stored: its id, how many events and bytes it has, its newest sequence, the newest that was trimmed. */
export type TopicRow = [id: number, events: number, bytes: number, newest: number, trimmed: number]
/**
 * The whole log: newest sequence, events, bytes, newest topic id, newest sequence trimmed, newest that was forgotten of
 * topics without events, and up to where events are indexed and counted by topic.
 */
export type TotalsRow = [head: number, events: number, bytes: number, topicIds: number, trimmed: number, forgotten: number, indexed: number]

/** The tables. All of them are changed in one transaction, so each is always what the others say. */
export interface Tables {
  root: RootDatabase
  /** `format`, `epoch`, `totals`, `session`, `owner`, `probe`, `clock`. */
  meta: Database<unknown, string>
  /** Sequence → event. */
  events: Database<EventRow, number> & Encoded<number>
  /**
   * [topic id, sequence] → size, or 0 when the event has a publisher's id: which events a topic has, up to what `totals`
   * says; the few behind that are in memory.
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
  /** Whatever else is kept. */
  records: Database<unknown, string>
}

/**
 * What lmdb's types leave out: `getBinaryFast` also reads a snapshot, and gives a value of 16 MiB or more where it lies in the
 * map, as a `Uint8Array` that is no Buffer. The bytes are overwritten by whatever is read next.
 */
interface Encoded<K> {
  getBinaryFast(key: K, options: { transaction: Transaction }): Uint8Array | undefined
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
    checkFormat(folder, tables.meta)
  } catch (err) {
    void tables.root.close()
    throw asStoreError(folder, err)
  }
  return tables
}

/** Says of any error which folder it is about, and what to do. */
export function asStoreError(folder: string, err: unknown): StoreError {
  if (err instanceof StoreError) return err
  return new StoreError(`The log in ${folder} cannot be opened (${messageOf(err)}). Check the folder's owner and the disk; if it is damaged, restore a backup or move the folder away to begin with an empty log.`, { cause: err })
}

/** Notes that everything was written, closes, and flushes what `commit` has not. */
export async function closeStore(folder: string, tables: Tables): Promise<void> {
  const session = tables.meta.get('session') as Session | undefined
  try {
    // in this thread: a process that is told meanwhile to exit at once can do so after it
    tables.root.transactionSync(() => tables.meta.putSync('session', { ...session, closed: true }))
  } catch {
    // a disk that is full: it is then as if the process had been killed
  }
  await tables.root.close()
  const file = await openFile(join(folder, DATA_FILE)).catch(() => undefined) // a folder that was taken away keeps nothing
  await file?.sync()
  await file?.close()
}

function openTables(folder: string, durability: Durability, readOnly: boolean): Tables {
  const root = open({
    path: folder,
    noSubdir: false,
    maxDbs: 16,
    readOnly,
    overlappingSync: false, // a transaction is done when it is flushed, not before
    eventTurnBatching: false, // the writer groups by itself; and with it, a failed commit rejects a promise that nobody can catch
    noSync: durability === 'commit',
  })
  return {
    root,
    meta: root.openDB({ name: 'meta' }),
    events: root.openDB({ name: 'events' }),
    index: root.openDB({ name: 'index' }),
    topics: root.openDB({ name: 'topics' }),
    ids: root.openDB({ name: 'ids' }),
    orphanIds: root.openDB({ name: 'orphan-ids' }),
    emptied: root.openDB({ name: 'emptied' }),
    emptiedBySequence: root.openDB({ name: 'emptied-by-sequence' }),
    records: root.openDB({ name: 'records' }),
  }
}

/**
 * Makes the folder when it is not there, and looks at what is in it: LMDB maps its file into memory, and what is no LMDB
 * file must not get that far.
 * @throws StoreError
 */
export function checkFolder(folder: string, readOnly = false): void {
  const file = join(folder, DATA_FILE)
  try {
    if (!readOnly) makeFolder(folder)
    if (!existsSync(file)) {
      if (readOnly) throw new StoreError(`There is no log in ${folder}.`)
      requireRoom(folder)
      return
    }
    if (!readOnly && isSparse(join(folder, LOCK_FILE))) requireRoom(folder)
    if (statSync(file).size === 0 ? !readOnly : isSound(file)) return
  } catch (err) {
    if (err instanceof StoreError) throw err
    throw new StoreError(`The folder ${folder} cannot be used for the log (${messageOf(err)}). Check that it exists, is a folder, and may be written by this user.`, { cause: err })
  }
  throw new StoreError(`${file} is no log, or is damaged. Restore a backup, or move the folder away to begin with an empty log.`)
}

/**
 * LMDB maps its lock file into memory before there is anything in it: where a disk has no room for that, the process is
 * ended by a signal.
 * @throws when so much cannot be written
 */
function requireRoom(folder: string): void {
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

/**
 * Whether a file is LMDB's, has all the pages that its latest transaction says, and its two main tables begin where that
 * says. LMDB would end the process where a page is missing, or makes no sense.
 */
function isSound(file: string): boolean {
  const descriptor = openSync(file, 'r')
  try {
    let looked: bigint | undefined
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const meta = latestMeta(descriptor)
      if (!meta) return false
      if (fstatSync(descriptor).size >= (meta.lastPage + 1) * meta.pageSize && meta.roots.every((root) => beginsTable(descriptor, root, meta.pageSize))) return true
      if (meta.transaction === looked) return false
      looked = meta.transaction // else somebody is writing, who may have used a page again
    }
    return false
  } finally {
    closeSync(descriptor)
  }
}

interface Meta {
  pageSize: number
  roots: bigint[]
  lastPage: number
  transaction: bigint
}

function latestMeta(descriptor: number): Meta | undefined {
  const first = readMeta(descriptor, 0)
  const second = first && readMeta(descriptor, first.pageSize)
  return second && (second.transaction > first.transaction ? second : first)
}

function readMeta(descriptor: number, offset: number): Meta | undefined {
  const page = Buffer.alloc(META_PAGE.bytes)
  if (readSync(descriptor, page, 0, page.length, offset) < page.length || page.readUInt32LE(META_PAGE.magic) !== LMDB_MAGIC) return undefined
  return {
    pageSize: page.readUInt32LE(META_PAGE.pageSize),
    roots: META_PAGE.roots.map((at) => page.readBigUInt64LE(at)),
    lastPage: Number(page.readBigUInt64LE(META_PAGE.lastPage)),
    transaction: page.readBigUInt64LE(META_PAGE.transaction),
  }
}

function beginsTable(descriptor: number, root: bigint, pageSize: number): boolean {
  if (root === NO_PAGE) return true
  const page = Buffer.alloc(PAGE.bytes)
  if (readSync(descriptor, page, 0, page.length, root * BigInt(pageSize)) < page.length) return false
  return page.readBigUInt64LE(PAGE.number) === root && TREE_PAGES.includes(page.readUInt16LE(PAGE.flags))
}

function checkFormat(folder: string, meta: Tables['meta']): void {
  const format = meta.get('format')
  if (format === undefined || format === FORMAT) return
  throw new StoreError(`The log in ${folder} has format ${JSON.stringify(format)}, and this version of Fanfare knows ${FORMAT}. Use the version that wrote it, or a newer one.`)
}

/**
 * A new store gets its epoch. So does one that was used with `commit` when the machine stopped: what had been
 * acknowledged may be gone, and its sequences must not be used again, so every cursor is of another epoch.
 * @throws StoreError when the store cannot be written
 */
export function beginSession(folder: string, tables: Tables, durability: Durability): void {
  const { meta, root } = tables
  const bootId = readBootId()
  const last = meta.get('session') as Session | undefined
  const mayLackEvents = last?.durability === 'commit' && !last.closed && last.bootId !== bootId
  try {
    root.transactionSync(() => {
      meta.putSync('format', FORMAT)
      if (meta.get('epoch') === undefined || mayLackEvents) meta.putSync('epoch', drawEpoch())
      if (meta.get('totals') === undefined) meta.putSync('totals', [0, 0, 0, 0, 0, 0, 0] satisfies TotalsRow)
      meta.putSync('session', { durability, bootId, closed: false } satisfies Session)
    })
  } catch (err) {
    throw new StoreError(`The log in ${folder} cannot be written (${messageOf(err)}). Check the folder's owner and the room on its disk.`, { cause: err })
  }
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
