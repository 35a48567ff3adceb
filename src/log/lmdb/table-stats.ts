/** LMDB's stats: the pages of each table, and the last page of the file. */
import type { Tables } from './tables.js'

export interface Stats {
  pageSize: number
  treeDepth: number
  treeBranchPageCount: number
  treeLeafPageCount: number
  overflowPages: number
  entryCount: number
}

export interface RootStats extends Stats {
  root: Stats
  free: Stats
}

interface FileInfo {
  lastPageNumber: number
  lastTxnId: number
}

/** Missing in lmdb's types: `env.info` returns a part of `getStats` at a fifth of the cost. */
interface Environment {
  env?: { info?: () => FileInfo }
}

export const NAMES = [
  'events',
  'index',
  'topics',
  'ids',
  'orphanIds',
  'emptied',
  'emptiedBySequence',
  'records',
  'recordEnds',
  'meta',
] as const
export type Name = (typeof NAMES)[number]

export function readInfo({ root }: Tables): FileInfo {
  return (root as Environment).env?.info?.() ?? (root.getStats() as unknown as FileInfo)
}

export function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Stats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

/** Returns the size of the pages of all tables, in bytes. */
export function usedBytes(tables: Tables): number {
  return NAMES.reduce((sum, name) => {
    const stats = tables[name].getStats() as Stats
    return sum + pagesOf(stats) * stats.pageSize
  }, 0)
}

/** Estimates the space of the publisher ids whose events were removed, in bytes. */
export function orphanIdBytes({ ids, orphanIds }: Tables): number {
  const all = ids.getStats() as Stats
  const orphans = orphanIds.getStats() as Stats
  const share = orphans.entryCount / Math.max(1, all.entryCount)
  return (pagesOf(orphans) + share * pagesOf(all)) * all.pageSize
}

/** Returns the number of rows of a table. */
export function entriesOf(table: { getStats(): unknown }): number {
  return (table.getStats() as Stats).entryCount
}
