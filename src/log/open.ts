/** Opens the log that the settings name. */
import { getHeapStatistics } from 'node:v8'
import type { Cluster } from '../cluster/cluster.js'
import { FolderCluster } from '../cluster/folder.js'
import { folderOf, type LogAddress } from './address.js'
import type { Durability } from './durability.js'
import type { FileLogOptions } from './lmdb/lmdb-log.js'
import type { EventLog } from './log.js'
import type { NatsLogOptions } from './nats/nats-log.js'
import { MemoryLog } from './memory/memory-log.js'
import { printSize } from '../model/units.js'
import type { NatsOptions } from '../nats/nats-options.js'

/** The default maximum size of a log, in bytes. */
const RETAIN_BYTES = 1024 ** 3
/**
 * The parts of the heap that are the default maximum size of a memory log, and the size above which there is a warning:
 * the hub needs the rest of the heap.
 */
const HEAP_PART = 1 / 4
const MAX_HEAP_PART = 1 / 2

/** Returns the default maximum size of a log, in bytes. */
export function defaultRetainBytes(address: LogAddress, heap = heapLimit()): number {
  return address === 'memory' ? Math.min(RETAIN_BYTES, Math.floor(heap * HEAP_PART)) : RETAIN_BYTES
}

/** Returns a warning if a memory log may outgrow the heap; `undefined`: it cannot. */
export function warnOfHeap(address: LogAddress, retainBytes: number, heap = heapLimit()): string | undefined {
  if (address !== 'memory' || retainBytes <= heap * MAX_HEAP_PART) return undefined
  return `the log in memory may grow to ${printSize(retainBytes)} (FANFARE_RETAIN_BYTES), and Node's heap to ${printSize(heap)}: the process ends when the heap is full. Set FANFARE_RETAIN_BYTES to ${printSize(defaultRetainBytes(address, heap))}, or give Node more with --max-old-space-size`
}

/** Returns the maximum size of the heap, in bytes. */
function heapLimit(): number {
  return getHeapStatistics().heap_size_limit
}

/** A log, and the processes that serve it. */
export interface OpenedLog {
  log: EventLog
  /** `undefined`: this process alone serves the log. */
  cluster?: Cluster | undefined
}

/** The settings of a log. Times are in milliseconds, sizes in bytes. */
export interface LogSettings {
  log: LogAddress
  durability: Durability
  leaderTimeout: number
  retainEvents: number
  retainAge: number
  /** 0: the default of the address. */
  retainBytes: number
  dedupWindow: number
  maxTopics: number
}

/** The listeners of a log, and the connection options of a log on NATS. */
export interface LogListeners extends Pick<FileLogOptions, 'onRole' | 'onHealth' | 'onDamage'> {
  /** For a log on NATS. */
  nats?: Omit<NatsLogOptions, 'retention' | 'onHealth' | 'now'> | undefined
}

/**
 * Opens the log that the settings name.
 * @throws StoreError if the folder cannot be used
 * @throws NatsError if NATS cannot be used
 */
export async function openLog(
  { log: address, durability, leaderTimeout, retainBytes, ...settings }: LogSettings,
  { nats, ...listeners }: LogListeners = {},
): Promise<OpenedLog> {
  const retention = {
    events: settings.retainEvents,
    age: settings.retainAge,
    bytes: retainBytes || defaultRetainBytes(address),
    dedupWindow: settings.dedupWindow,
    topics: settings.maxTopics,
  }
  const folder = folderOf(address)
  // a database and a client are loaded only if they are used
  if (folder !== undefined) {
    const { FileLog } = await import('./lmdb/lmdb-log.js')
    const log = await FileLog.open({ folder, shared: true, durability, leaderTimeout, retention, ...listeners })
    return { log, cluster: new FolderCluster(log.peers) }
  }
  if (nats) {
    const { onHealth } = listeners
    const { NatsLog } = await import('./nats/nats-log.js')
    const log = await NatsLog.open({ ...nats, retention, ...(onHealth && { onHealth }) })
    return { log, cluster: await joinNats(log, nats.nats) }
  }
  return { log: new MemoryLog(retention) }
}

/** Joins the processes that share a log on NATS. The log is closed if that fails. */
async function joinNats(log: EventLog, options: NatsOptions): Promise<Cluster> {
  try {
    const { NatsCluster } = await import('../cluster/nats.js')
    return await NatsCluster.open(options)
  } catch (err) {
    await log.close()
    throw err
  }
}
