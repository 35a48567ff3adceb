/**
 * The file that LMDB keeps its tables in, read past LMDB: where the pages are that it begins with, and what they say.
 * The file names the version of its layout. Another one is refused before LMDB maps it: LMDB refuses it too, but may
 * end the process.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { StoreError } from './store-error.js'

/** LMDB's mark (`MDB_MAGIC`), and the version of the layout that is known here (`MDB_DATA_VERSION`). */
const LMDB_MAGIC = 0xbeefc0de
const LAYOUT = 2
/** Where these and what else is needed lie in each of the two pages that a file begins with (`MDB_meta`). */
const META_PAGE = { magic: 24, layout: 28, pageSize: 48, roots: [88, 136], lastPage: 144, transaction: 152, bytes: 160 }
/**
 * Where a page says which one it is, and of what kind; a table begins with a branch or a leaf, or has no page at all.
 */
const PAGE = { number: 0, flags: 18, bytes: 20 }
const TREE_PAGES = [0x01, 0x02]
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** How often the file is looked at again when somebody has written it meanwhile. */
const ATTEMPTS = 20

/**
 * Whether a file is LMDB's, has all the pages that its latest transaction says, and its two main tables begin where
 * that says. LMDB would end the process where a page is missing, or makes no sense.
 * @throws StoreError when the layout of the file is another than the one that is known
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
      looked = meta.transaction // else somebody is writing, who may have used a page again
    }
    return false
  } finally {
    closeSync(descriptor)
  }
}

/** What LMDB has written of the file itself. */
interface Meta {
  pageSize: number
  roots: bigint[]
  lastPage: number
  transaction: bigint
}

/** Returns what the latest transaction says of the file. */
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
