/** Opens the log that the settings name. */
import { getHeapStatistics } from 'node:v8'
import { folderOf, type LogAddress } from './address.js'
import type { FileLogOptions } from './lmdb/lmdb-log.js'
import type { EventLog } from './log.js'
import { MemoryLog } from './memory/memory-log.js'
import { printSize } from '../model/units.js'

/** How many bytes a log keeps that is told nothing else. */
const RETAIN_BYTES = 1024 ** 3
/**
 * Which part of the heap a log in memory may take by default, and at most without a warning: the rest is for serving
 * it.
 */
const HEAP_PART = 1 / 4
const MAX_HEAP_PART = 1 / 2

/** How many bytes a log keeps where nobody has said how many. */
export function defaultRetainBytes(address: LogAddress, heap = heapLimit()): number {
  return address === 'memory' ? Math.min(RETAIN_BYTES, Math.floor(heap * HEAP_PART)) : RETAIN_BYTES
}

/** Says that a log in memory may grow beyond what the heap can hold; `undefined`: it may not. */
export function warnOfHeap(address: LogAddress, retainBytes: number, heap = heapLimit()): string | undefined {
  if (address !== 'memory' || retainBytes <= heap * MAX_HEAP_PART) return undefined
  return `the log in memory may grow to ${printSize(retainBytes)} (FANFARE_RETAIN_BYTES), and Node's heap to ${printSize(heap)}: the process ends when that is full. Set it to ${printSize(defaultRetainBytes(address, heap))}, or give Node more with --max-old-space-size`
}

/** How large the heap of this process may grow, in bytes. */
function heapLimit(): number {
  return getHeapStatistics().heap_size_limit
}

/**
 * Opens a log.
 * @throws StoreError when a folder cannot be used
 */
export async function openLog(address: LogAddress, options: Omit<FileLogOptions, 'folder'>): Promise<EventLog> {
  const folder = folderOf(address)
  if (folder === undefined) return new MemoryLog(options.retention)
  const { FileLog } = await import('./lmdb/lmdb-log.js') // the database is loaded only where it is used
  return FileLog.open({ folder, ...options })
}
