/**
 * Checks LMDB's data file without LMDB, which may end the process when it maps a damaged file. The first two pages
 * describe the file, and contain the version of its layout. Only one version is supported.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { StoreError } from './store-error.js'

/** LMDB's magic number (`MDB_MAGIC`), and the supported version of the layout (`MDB_DATA_VERSION`). */
const LMDB_MAGIC = 0xbeefc0de
const LAYOUT = 2
/** Offsets of the fields in each of the first two pages (`MDB_meta`), in bytes. */
export const META_PAGE = {
  magic: 24,
  layout: 28,
  pageSize: 48,
  roots: [88, 136],
  lastPage: 144,
  transaction: 152,
  bytes: 160,
}
/** Offsets of a page's number and flags. The root of a table is a branch or a leaf; an empty table has no root. */
const PAGE = { number: 0, flags: 18, bytes: 20 }
const TREE_PAGES = [0x01, 0x02]
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** The number of attempts while another process writes the file. */
const ATTEMPTS = 20

/**
 * Returns whether a file is an LMDB file that contains all pages of its latest transaction, and the roots of its two
 * main tables.
 * @throws StoreError if the layout of the file is not supported
 */
export function isSound(file: string): boolean {
  const descriptor = openSync(file, 'r')
  try {
    let looked: bigint | undefined
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const meta = latestMeta(descriptor)
      if (!meta) return false
      if (
        fstatSync(descriptor).size >= (meta.lastPage + 1) * meta.pageSize &&
        meta.roots.every((root) => beginsTable(descriptor, root, meta.pageSize))
      )
        return true
      if (meta.transaction === looked) return false
      looked = meta.transaction // otherwise another process is writing, and may have reused a page
    }
    return false
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Returns the size of a page of an LMDB file, in bytes.
 * @throws StoreError if the layout of the file is not supported
 */
export function pageSizeOf(descriptor: number): number {
  const meta = readMeta(descriptor, 0)
  if (!meta) throw new StoreError('The data file of the log is damaged.')
  return meta.pageSize
}

/** LMDB's description of the file. */
interface Meta {
  pageSize: number
  roots: bigint[]
  lastPage: number
  transaction: bigint
}

/** Returns the description that the latest transaction wrote. */
function latestMeta(descriptor: number): Meta | undefined {
  const first = readMeta(descriptor, 0)
  const second = first && readMeta(descriptor, first.pageSize)
  return second && (second.transaction > first.transaction ? second : first)
}

function readMeta(descriptor: number, offset: number): Meta | undefined {
  const page = Buffer.alloc(META_PAGE.bytes)
  if (
    readSync(descriptor, page, 0, page.length, offset) < page.length ||
    page.readUInt32LE(META_PAGE.magic) !== LMDB_MAGIC
  )
    return undefined
  const layout = page.readUInt16LE(META_PAGE.layout)
  if (layout !== LAYOUT)
    throw new StoreError(
      `LMDB's file has layout ${layout}, and this version of Fanfare knows ${LAYOUT}. Use the version that wrote it, or a newer one.`,
    )
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
