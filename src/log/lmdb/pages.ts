/** How many pages of LMDB's file a transaction can use at most, and how many are free. */
import { NAMES, pagesOf, readInfo, type Name, type RootStats, type Stats } from './table-stats.js'
import type { Tables } from './tables.js'

/** What a transaction does, as numbers of rows. */
export class Work {
  /** Events that are stored. */
  events = 0
  /** Bytes of events that share pages. */
  eventBytes = 0
  /** Pages that large events have for themselves: they have to lie side by side. */
  ownPages = 0
  /** Publisher ids that are stored. */
  ids = 0
  /** Events that are put into the index. */
  indexed = 0
  /** Topics that are new, or had no events. */
  newTopics = 0
  /** Topics whose rows are written beside these. */
  topics = 0
  /** Events that are removed, or ids and topics that are forgotten. */
  removals = 0
  /** Records that are changed, and their bytes. */
  records = 0
  recordBytes = 0

  /** Returns a copy in which some numbers are others. */
  with(numbers: Partial<Work>): Work {
    return Object.assign(new Work(), this, numbers)
  }
}

export const NO_WORK: Readonly<Work> = new Work()

/**
 * A row that is written changes its page, which is copied, and may split it; one that is removed may be merged with a
 * neighbour.
 */
const PAGES_A_ROW = 2
/** How many pages rows that are next to each other lie in beside those that they fill. */
const PAGES_A_RUN = 2
/** A page is at least so full when another begins, in bytes. */
const FILLED = 1_000
/** The most bytes of a row in the tables beside the events; of an end without its key. */
const ROW = { index: 48, topics: 320, ids: 400, emptied: 320, ends: 32 }
/** What every transaction changes: totals, and the table of tables. */
const ALWAYS = 8
/** How many freed pages a page of LMDB's free list names at least. */
const FREED_A_PAGE = 256
/** What a row of that list takes beside the pages that it names, as a share of a page. */
const FREE_ROW = 1 / 32
/**
 * After so many transactions, or rows that were stored, the tables are looked at again: it costs more than a
 * transaction.
 */
const LOOK_EVERY = 64
const LOOK_ROWS = 2_000
/** How many pages a page above others has at least: the keys of publisher ids are the longest. */
const FANOUT = 8
/** How many levels a table can gain by `LOOK_ROWS` rows. */
const DEEPER = Math.ceil(Math.log(LOOK_ROWS) / Math.log(FANOUT))
/** How old a reader's snapshot may be, in transactions, so that it keeps none of the free pages that count. */
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
  /** The last page that LMDB uses, or one behind it. */
  last = 0
  readonly #tables: Tables
  #stats!: Record<Name, Stats>
  #freeList = 0
  #mainPages = 0
  #transaction = 0
  /**
   * How many transactions there have been since the tables were looked at, and how many events they stored and indexed.
   */
  #transactions = 0
  #rowsAdded = 0
  /** How many pages with rows these transactions have added at most. */
  readonly #added: Record<Name, number> = { ...NO_PAGES }
  /** How many publisher ids they have added. */
  #idsAdded = 0
  /** The most pages that one of the latest transactions used: they are freed by it at most, and not usable at once. */
  #latest = [0, 0, 0]

  constructor(tables: Tables) {
    this.#tables = tables
    this.size = (tables.root.getStats() as Stats).pageSize
    this.#lookAtTables()
    this.look()
  }

  /** Looks where LMDB's last page is now; now and then also at the tables. */
  look(): void {
    const { lastPageNumber, lastTxnId } = readInfo(this.#tables)
    this.last = lastPageNumber
    this.#transaction = lastTxnId
    if (this.#transactions >= LOOK_EVERY || this.#rowsAdded >= LOOK_ROWS) this.#lookAtTables()
  }

  #lookAtTables(): void {
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

  /** The most pages that a transaction uses. */
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

  /** Counts what a transaction has used at most. */
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

  /** How many pages are free in the file, beside those that the latest transactions have freed. */
  free(): number {
    this.#lookAtTables()
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

  /** How many of so many removals are of events with a publisher's id, or of such ids, at most. */
  #withId(removals: number): number {
    return Math.min(removals, this.#stats.ids.entryCount + this.#idsAdded)
  }

  /** The most pages for so many rows anywhere in a table, `bytes` of which are new. */
  #rows(name: Name, rows: number, bytes: number): number {
    if (rows === 0) return 0
    const leaves = this.#stats[name].treeLeafPageCount + this.#added[name]
    return this.#base(name, rows) + Math.min(PAGES_A_ROW * rows, 2 + PAGES_A_ROW * leaves + Math.ceil(bytes / FILLED))
  }

  /**
   * The most pages for rows of which each of some topics has those next to each other, at either end of what it has.
   */
  #runs(name: Name, rows: number, topics: number, bytes: number): number {
    return this.#base(name, rows) + PAGES_A_ROW * Math.ceil(2 * PAGES_A_RUN * topics + (rows * bytes) / FILLED)
  }

  /** The pages above those with rows. */
  #base(name: Name, rows: number): number {
    if (rows === 0) return 0
    const { treeDepth, treeBranchPageCount } = this.#stats[name]
    const added = this.#added[name]
    const depth = added === 0 ? treeDepth : treeDepth + DEEPER
    const branches = treeBranchPageCount + Math.ceil(added / FANOUT)
    return depth + 1 + PAGES_A_ROW * Math.min(branches, rows * depth) + Math.ceil(rows / FANOUT)
  }
}

/** How many pages rows of so many bytes add to a table at most. */
function filledBy(bytes: number): number {
  return bytes === 0 ? 0 : 1 + bytes / FILLED
}

/** How many topics a transaction leaves without events at most: those whose last event it removes. */
function emptiedBy({ topics, removals }: Work): number {
  return Math.min(topics, removals)
}
