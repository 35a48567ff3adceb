/** Opens the tables of a log's folder, and checks their format. */
import { open } from 'lmdb'
import { isEpoch } from '../../model/cursor.js'
import type { Durability } from '../durability.js'
import { checkedValues } from './checked-values.js'
import { Damage } from './damage.js'
import { EventsTable } from './events-table.js'
import { filesIn, replaced } from './folder-files.js'
import { asStoreError, REMEDY, StoreError } from './store-error.js'
import { entriesOf } from './table-stats.js'
import type { Tables } from './tables.js'

/** The version of the layout of the tables. A store with any other version is refused. */
export const FORMAT = 2
export interface OpenOptions {
  durability: Durability
  readOnly?: boolean
}

/**
 * Opens the tables of a folder, and creates missing ones.
 * @throws StoreError if the folder cannot be used
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
    if (epoch !== undefined && !isEpoch(epoch))
      throw new StoreError(`The epoch of the log in ${folder} is damaged. ${REMEDY}`)
  } catch (err) {
    void tables.root.close()
    throw asStoreError(folder, err)
  }
  return tables
}

/** Returns options of a table whose values have checksums. lmdb's types lack `encoder`. */
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
    overlappingSync: false, // a transaction resolves once it is flushed
    // the writer groups appends itself; with this option, a failed commit would reject a promise without a handler
    eventTurnBatching: false,
    noSync: durability === 'commit',
  })
  const files = filesIn(folder)
  if (!files) {
    void root.close()
    throw replaced(folder)
  }
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
