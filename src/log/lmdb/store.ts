/** Opens the tables of a log's folder, and checks their format. */
import { open as openDatabase, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { isEpoch } from '../../model/cursor.js'
import type { Durability } from '../durability.js'
import { checkedValues } from './checked-values.js'
import { Damage } from './damage.js'
import { EventsTable } from './events-table.js'
import { filesIn, replaced, type FolderFiles } from './folder-files.js'
import { asStoreError, REMEDY, StoreError } from './store-error.js'
import { entriesOf } from './table-stats.js'
import type { Tables, WritableTables } from './tables.js'
import { TransactionGuard } from './transaction-guard.js'
import { transactSync } from './transaction.js'

/** The version of the layout of the tables. A store with any other version is refused. */
export const FORMAT = 2

/**
 * Opens the tables of a folder for writing, and creates missing ones.
 * @throws StoreError if the folder cannot be used
 */
export function openStore(folder: string, durability: Durability): WritableTables {
  return open(folder, () => {
    const root = openRoot(folder, { noSync: durability === 'commit' })
    let opened: TransactionGuard | undefined
    const close = async () => {
      await root.close()
      opened?.close()
    }
    try {
      const files = openFiles(folder)
      const guard = (opened = new TransactionGuard(folder, files))
      // one transaction, since other processes may open the folder meanwhile
      return { ...transactSync({ root, guard }, () => openTables(root, files)), guard, close }
    } catch (err) {
      void close()
      throw err
    }
  })
}

/**
 * Opens the tables of a folder for reading.
 * @throws StoreError if the folder cannot be used
 */
export function openForReading(folder: string): Tables {
  return open(folder, () => {
    const root = openRoot(folder, { readOnly: true })
    try {
      return { ...openTables(root, openFiles(folder)), close: () => root.close() }
    } catch (err) {
      void root.close()
      throw err
    }
  })
}

/** Opens a store, and checks its format. */
function open<T extends Tables>(folder: string, openAll: () => T): T {
  let tables: T | undefined
  try {
    tables = openAll()
    checkFormat(folder, tables)
    const epoch = tables.meta.get('epoch')
    if (epoch !== undefined && !isEpoch(epoch))
      throw new StoreError(`The epoch of the log in ${folder} is damaged. ${REMEDY}`)
    return tables
  } catch (err) {
    void tables?.close()
    throw asStoreError(folder, err)
  }
}

function openRoot(folder: string, options: RootDatabaseOptions): RootDatabase {
  return openDatabase({
    path: folder,
    noSubdir: false,
    maxDbs: 16,
    overlappingSync: false, // a transaction resolves once it is flushed
    // the writer groups appends itself; with this option, a failed commit would reject a promise without a handler
    eventTurnBatching: false,
    ...options,
  })
}

function openFiles(folder: string): FolderFiles {
  const files = filesIn(folder)
  if (!files) throw replaced(folder)
  return files
}

/** Returns options of a table whose values have checksums. lmdb's types lack `encoder`. */
function checked(name: string): { name: string } {
  const options = { name, encoder: checkedValues }
  return options
}

function openTables(root: RootDatabase, files: FolderFiles): Omit<Tables, 'close'> {
  const damage = new Damage()
  return {
    root,
    files,
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

function checkFormat(folder: string, { meta, events }: Tables): void {
  const format = meta.get('format')
  const hasBegun = meta.get('epoch') !== undefined && meta.get('totals') !== undefined
  if (format === FORMAT && hasBegun) return
  // a new store
  if (format === undefined && !hasBegun && entriesOf(events) === 0) return
  if (format === undefined || format === FORMAT)
    throw new StoreError(`The log in ${folder} is damaged: its epoch, totals or format are missing. ${REMEDY}`)
  if (typeof format === 'number' && format < FORMAT) {
    throw new StoreError(
      `The log in ${folder} has format ${format}, which no release of Fanfare has written: this version reads format ${FORMAT} only. Move the folder away to begin with an empty log.`,
    )
  }
  throw new StoreError(
    `The log in ${folder} has format ${JSON.stringify(format)}, and this version of Fanfare knows ${FORMAT}. Use the version that wrote it, or a newer one.`,
  )
}
