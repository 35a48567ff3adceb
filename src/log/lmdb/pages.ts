/** Counts the most pages of LMDB's file that a transaction can use, and the pages that are free. */
import { NAMES, pagesOf, readInfo, type Name, type RootStats, type Stats } from './table-stats.js'
import type { Tables } from './tables.js'

/** The size of a transaction, as numbers of rows. */
export class Work {
  /** Events that are stored. */
  events = 0
  /** The size of events that share pages, in bytes. */
  eventBytes = 0
  /** Pages that large events do not share. The pages of one event have to be adjacent. */
  ownPages = 0
  /** Publisher ids that are stored. */
  ids = 0
  /** Events that are added to the index. */
  indexed = 0
  /** Topics that are new, or had no events. */
  newTopics = 0
  /** Other topics whose rows are written. */
  topics = 0
  /** Events that are removed, and ids and topics that are forgotten. */
  removals = 0
  /** Records that are changed, and their size in bytes. */
  records = 0
  recordBytes = 0

  /** Returns a copy with some numbers replaced. */
  with(numbers: Partial<Work>): Work {
    return Object.assign(new Work(), this, numbers)
  }
}

export const NO_WORK: Readonly<Work> = new Work()

/** Writing a row copies its page, and may split it. Removing a row may merge its page with a neighbour. */
const PAGES_A_ROW = 2
/** The number of pages that adjacent rows share with others, in addition to the pages that they fill. */
const PAGES_A_RUN = 2
/** The least that a full page holds, in bytes. */
const FILLED = 1_000
/** The largest row of each table except the events, in bytes; `ends` without the key. */
const ROW = { index: 48, topics: 320, ids: 400, emptied: 320, ends: 32 }
/** The pages that every transaction changes: the totals, and the table of tables. */
const ALWAYS = 8
/** The fewest freed pages that a page of LMDB's free list lists. */
const FREED_A_PAGE = 256
/** The overhead of a row of the free list, as a share of a page. */
const FREE_ROW = 1 / 32
/**
 * Reading the stats of the tables costs more than a transaction, so it happens once in this many transactions or rows.
 */
const LOOK_EVERY = 64
const LOOK_ROWS = 2_000
/** The fewest children of a branch page: publisher ids have the longest keys. */
const FANOUT = 8
/** The number of levels that a table can gain through `LOOK_ROWS` rows. */
const DEEPER = Math.ceil(Math.log(LOOK_ROWS) / Math.log(FANOUT))
/** A reader's snapshot that is at most this many transactions old keeps no page in use that counts as free. */
const YOUNG = 3

const NO_PAGES: Readonly<Record<Name, number>> = {
  events: 0,
  index: 0,
  topics: 0,
  ids: 0,
  orphanIds: 0,
  emptied: 0,
  emptiedBySequence: 0,
  records: 0,
  recordEnds: 0,
  meta: 0,
}

export class Pages {
  /** The size of a page, in bytes. */
  readonly size: number
  /** The last page that LMDB uses, or a later one. */
  last = 0
  readonly #tables: Tables
  #stats!: Record<Name, Stats>
  #freeList = 0
  #mainPages = 0
  #transaction = 0
  /** The number of transactions since the stats were read, and the number of events that they stored and indexed. */
  #transactions = 0
  #rowsAdded = 0
  /** The most leaf pages that these transactions have added to each table. */
  readonly #added: Record<Name, number> = { ...NO_PAGES }
  /** The number of publisher ids that these transactions have added. */
  #idsAdded = 0
  /**
   * The most pages that each of the latest transactions used. It may have freed as many, which LMDB cannot reuse yet.
   */
  #latest = [0, 0, 0]

  constructor(tables: Tables) {
    this.#tables = tables
    this.size = (tables.root.getStats() as Stats).pageSize
    this.#readStats()
    this.look()
  }

  /** Reads the number of LMDB's last page, and from time to time the stats of the tables. */
  look(): void {
    const { lastPageNumber, lastTxnId } = readInfo(this.#tables)
    this.last = lastPageNumber
    this.#transaction = lastTxnId
    if (this.#transactions >= LOOK_EVERY || this.#rowsAdded >= LOOK_ROWS) this.#readStats()
  }

  #readStats(): void {
    const { root, free } = this.#tables.root.getStats() as RootStats
    this.#freeList = pagesOf(free)
    this.#mainPages = pagesOf(root)
    this.#stats = Object.fromEntries(NAMES.map((name) => [name, this.#tables[name].getStats() as Stats])) as Record<
      Name,
      Stats
    >
    this.#transactions = this.#rowsAdded = this.#idsAdded = 0
    Object.assign(this.#added, NO_PAGES)
  }

  /** Returns the most pages that a transaction can use. */
  most(work: Work): number {
    const { events, eventBytes, ownPages, ids, indexed, newTopics, topics, removals, records, recordBytes } = work
    const withId = this.#withId(removals)
    const emptied = emptiedBy(work)
    const stored = events === 0 ? 0 : 2 + Math.ceil(eventBytes / FILLED) + Math.ceil(events / 32) + ownPages
    const rows =
      stored +
      this.#base('events', events) +
      this.#rows('events', removals, 0) +
      Math.min(
        this.#rows('index', indexed + removals, indexed * ROW.index),
        this.#runs('index', indexed + removals, topics, ROW.index),
      ) +
      this.#rows('topics', newTopics + topics, newTopics * ROW.topics) +
      this.#rows('ids', ids + withId, ids * ROW.ids) +
      this.#rows('orphanIds', withId, withId * ROW.ids) +
      this.#rows('emptied', newTopics + emptied, emptied * ROW.emptied) +
      this.#rows('emptiedBySequence', newTopics + emptied, emptied * ROW.emptied) +
      this.#rows('records', records, recordBytes) +
      Math.ceil(recordBytes / FILLED) +
      this.#rows('recordEnds', 2 * records, recordBytes + records * ROW.ends)
    return ALWAYS + this.#mainPages + rows + Math.ceil(2 * this.#freeList + rows / FREED_A_PAGE)
  }

  /** Counts a transaction that was committed. */
  used(work: Work): void {
    const most = this.most(work)
    this.last += most
    this.#freeList += most / FREED_A_PAGE + FREE_ROW
    const { events, eventBytes, ids, indexed, newTopics, removals, records, recordBytes } = work
    const emptied = newTopics + emptiedBy(work)
    const added = this.#added
    added.events += filledBy(eventBytes)
    added.index += filledBy(indexed * ROW.index)
    added.topics += filledBy(newTopics * ROW.topics)
    added.ids += filledBy(ids * ROW.ids)
    added.orphanIds += filledBy(this.#withId(removals) * ROW.ids)
    added.emptied += filledBy(emptied * ROW.emptied)
    added.emptiedBySequence += filledBy(emptied * ROW.emptied)
    added.records += filledBy(recordBytes)
    if (recordBytes > 0) added.recordEnds += filledBy(recordBytes + records * ROW.ends)
    this.#rowsAdded += events + indexed
    this.#idsAdded += ids
    this.#transactions++
    this.#latest.shift()
    this.#latest.push(most)
  }

  /** Returns the number of free pages in the file, without those that the latest transactions have freed. */
  free(): number {
    this.#readStats()
    const used = NAMES.reduce((sum, name) => sum + pagesOf(this.#stats[name]), this.#freeList + this.#mainPages)
    return this.last - 1 - used - this.#latest.reduce((sum, pages) => sum + pages, 0)
  }

  /** Returns whether LMDB can reuse all free pages: no reader of any process has an old snapshot. */
  areFreeUsable(): boolean {
    const lines = this.#tables.root.readerList().split('\n')
    return lines.every((line) => {
      const transaction = /^\s*\d+\s+\S+\s+(\d+)\s*$/.exec(line)?.[1]
      return transaction === undefined || Number(transaction) + YOUNG >= this.#transaction
    })
  }

  /** Returns the most removals that can involve a publisher id. */
  #withId(removals: number): number {
    return Math.min(removals, this.#stats.ids.entryCount + this.#idsAdded)
  }

  /** Returns the most pages for rows anywhere in a table. `bytes` is the size of the new rows. */
  #rows(name: Name, rows: number, bytes: number): number {
    if (rows === 0) return 0
    const leaves = this.#stats[name].treeLeafPageCount + this.#added[name]
    return this.#base(name, rows) + Math.min(PAGES_A_ROW * rows, 2 + PAGES_A_ROW * leaves + Math.ceil(bytes / FILLED))
  }

  /** Returns the most pages for rows that lie together at either end of each topic's rows. */
  #runs(name: Name, rows: number, topics: number, bytes: number): number {
    return this.#base(name, rows) + PAGES_A_ROW * Math.ceil(2 * PAGES_A_RUN * topics + (rows * bytes) / FILLED)
  }

  /** Returns the most branch pages for a number of rows. */
  #base(name: Name, rows: number): number {
    if (rows === 0) return 0
    const { treeDepth, treeBranchPageCount } = this.#stats[name]
    const added = this.#added[name]
    const depth = added === 0 ? treeDepth : treeDepth + DEEPER
    const branches = treeBranchPageCount + Math.ceil(added / FANOUT)
    return depth + 1 + PAGES_A_ROW * Math.min(branches, rows * depth) + Math.ceil(rows / FANOUT)
  }
}

/** Returns the most pages that new rows add to a table. */
function filledBy(bytes: number): number {
  return bytes === 0 ? 0 : 1 + bytes / FILLED
}

/** Returns the most topics whose last event a transaction removes. */
function emptiedBy({ topics, removals }: Work): number {
  return Math.min(topics, removals)
}
