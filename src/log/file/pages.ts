/** How many pages of LMDB's file a transaction can use at most, and how many are free. */
import type { Tables } from './store.js'

/** What a transaction does, as numbers of rows. */
export interface Work {
  /** Events that are stored. */
  events: number
  /** Bytes of events that share pages. */
  eventBytes: number
  /** Pages that large events have for themselves: they have to lie side by side. */
  ownPages: number
  /** Publisher ids that are stored. */
  ids: number
  /** Events that are put into the index. */
  indexed: number
  /** Topics that are new, or had no events. */
  newTopics: number
  /** Topics whose rows are written beside these. */
  topics: number
  /** Events that are removed, or ids and topics that are forgotten. */
  removals: number
  /** Records that are changed, and their bytes. */
  records: number
  recordBytes: number
}

export const NO_WORK: Readonly<Work> = { events: 0, eventBytes: 0, ownPages: 0, ids: 0, indexed: 0, newTopics: 0, topics: 0, removals: 0, records: 0, recordBytes: 0 }

/**
 * A row that is written changes its page, which is copied, and may split it; one that is removed may be merged with a
 * neighbour.
 */
const PAGES_A_ROW = 2
/** A page is at least so full when another begins, in bytes. */
const FILLED = 1_000
/** The most bytes of a row in the tables beside the events. */
const ROW = { index: 48, topics: 320, ids: 400, emptied: 320 }
/** What every transaction changes: totals, and the table of tables. */
const ALWAYS = 8
/** How many freed pages a page of LMDB's free list names at least. */
const FREED_A_PAGE = 256
/** After so many transactions the tables are looked at again. */
const LOOK_EVERY = 64
/** How old a reader's snapshot may be, in transactions, so that it keeps none of the free pages that count. */
const YOUNG = 3

interface Stats {
  pageSize: number
  treeDepth: number
  treeBranchPageCount: number
  treeLeafPageCount: number
  overflowPages: number
}

interface RootStats extends Stats {
  root: Stats
  free: Stats
  lastPageNumber: number
  lastTxnId: number
}

type Name = 'events' | 'index' | 'topics' | 'ids' | 'orphanIds' | 'emptied' | 'emptiedBySequence' | 'records' | 'meta'
const NAMES: Name[] = ['events', 'index', 'topics', 'ids', 'orphanIds', 'emptied', 'emptiedBySequence', 'records', 'meta']

export class Pages {
  /** The size of a page, in bytes. */
  readonly size: number
  /** The last page that LMDB uses, or one behind it. */
  last = 0
  readonly #tables: Tables
  #stats!: Record<Name, Stats>
  #freeList = 0
  #mainPages = 0
  #transaction = 0
  /** How many transactions there have been since the tables were looked at, and how many pages they used. */
  #transactions = Infinity
  #grown = 0
  /** The most pages that one of the latest transactions used: they are freed by it at most, and not usable at once. */
  #latest = [0, 0, 0]

  constructor(tables: Tables) {
    this.#tables = tables
    this.size = (tables.root.getStats() as Stats).pageSize
    this.look()
  }

  /** Looks at the tables. */
  look(): void {
    const { root, free, lastPageNumber, lastTxnId } = this.#tables.root.getStats() as RootStats
    this.last = lastPageNumber
    this.#transaction = lastTxnId
    this.#freeList = pagesOf(free)
    this.#mainPages = pagesOf(root)
    if (this.#transactions >= LOOK_EVERY || this.#grown > 0) {
      this.#stats = Object.fromEntries(NAMES.map((name) => [name, this.#tables[name].getStats() as Stats])) as Record<Name, Stats>
      this.#transactions = 0
      this.#grown = 0
    }
  }

  /** The most pages that a transaction uses. */
  most(work: Work): number {
    const { events, eventBytes, ownPages, ids, indexed, newTopics, topics, removals, records, recordBytes } = work
    const stored = events === 0 ? 0 : 2 + Math.ceil(eventBytes / FILLED) + Math.ceil(events / 32) + ownPages
    const rows =
      stored + this.#base('events', events) +
      this.#rows('events', removals, 0) +
      this.#rows('index', indexed + removals, indexed * ROW.index) +
      this.#rows('topics', newTopics + topics, newTopics * ROW.topics) +
      this.#rows('ids', ids + removals, ids * ROW.ids) +
      this.#rows('orphanIds', removals, removals * ROW.ids) +
      this.#rows('emptied', newTopics + topics, topics * ROW.emptied) +
      this.#rows('emptiedBySequence', newTopics + topics, topics * ROW.emptied) +
      this.#rows('records', records, recordBytes) + Math.ceil(recordBytes / FILLED)
    return ALWAYS + this.#mainPages + rows + 2 * this.#freeList + Math.ceil(rows / FREED_A_PAGE)
  }

  /** Counts what a transaction has used at most. */
  used(work: Work): void {
    const most = this.most(work)
    this.last += most
    this.#grown += most
    this.#transactions++
    this.#latest = [...this.#latest.slice(1), most]
  }

  /** How many pages are free in the file, beside those that the latest transactions have freed. */
  free(): number {
    const used = NAMES.reduce((sum, name) => sum + pagesOf(this.#stats[name]), this.#freeList + this.#mainPages)
    return this.last - 1 - used - this.#latest.reduce((sum, pages) => sum + pages, 0)
  }

  /** Whether no reader, of this process or another, keeps free pages from being used again. */
  areFreeUsable(): boolean {
    const lines = this.#tables.root.readerList().split('\n')
    return lines.every((line) => {
      const transaction = /^\s*\d+\s+\S+\s+(\d+)\s*$/.exec(line)?.[1]
      return transaction === undefined || Number(transaction) + YOUNG >= this.#transaction
    })
  }

  /** The most pages for so many rows anywhere in a table, `bytes` of which are new. */
  #rows(name: Name, rows: number, bytes: number): number {
    if (rows === 0) return 0
    const leaves = this.#stats[name].treeLeafPageCount + this.#grown
    return this.#base(name, rows) + Math.min(PAGES_A_ROW * rows, 2 + PAGES_A_ROW * leaves + Math.ceil(bytes / FILLED))
  }

  /** The pages above those with rows. */
  #base(name: Name, rows: number): number {
    if (rows === 0) return 0
    const { treeDepth, treeBranchPageCount } = this.#stats[name]
    return treeDepth + 1 + Math.min(PAGES_A_ROW * treeBranchPageCount, PAGES_A_ROW * rows * treeDepth) + Math.ceil(rows / 8)
  }
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Stats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

/** What the pages of all tables take, in bytes. */
export function usedBytes(tables: Tables): number {
  return NAMES.reduce((sum, name) => {
    const stats = tables[name].getStats() as Stats
    return sum + pagesOf(stats) * stats.pageSize
  }, 0)
}
