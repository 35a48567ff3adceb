/** Reads the kernel's figures about a process from `/proc` (Linux). */
import { readdirSync, readFileSync } from 'node:fs'

/** The unit of the kernel's CPU times (USER_HZ). It is the same on every architecture that Node supports. */
const TICKS_A_SECOND = 100

/** Returns the user and system time of a process, in seconds; `NaN` without `/proc`. */
export function cpuSeconds(pid: number): number {
  const fields = readStat(pid)
  return fields === undefined ? NaN : (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

/** Returns a process and its children; the process alone without `/proc`. */
export function processTree(pid: number): number[] {
  return [pid, ...allPids().filter((other) => Number(readStat(other)?.[1]) === pid)]
}

function allPids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}

/** Returns the fields of `/proc/<pid>/stat` after the name (proc_pid_stat(5)); `undefined` without `/proc`. */
function readStat(pid: number): string[] | undefined {
  const stat = readProc(`${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may have spaces
}

/**
 * Returns the memory of a process in KiB: anonymous and shared pages, without mapped files, which the kernel can drop.
 * `NaN` without `/proc`.
 */
export function residentKiB(pid: number): number {
  const status = readProc(`${pid}/status`)
  if (status === undefined) return NaN
  const pages = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  return pages('RssAnon') + pages('RssShmem')
}

/** Returns how many files and sockets a child of this process may open; `Infinity` without `/proc`. */
export function openFileLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readProc('self/limits') ?? '')?.[1]
  return limit === undefined ? Infinity : Number(limit)
}

/** The memory of the kernel, in KiB; `NaN` without `/proc`. */
export interface KernelMemory {
  /** The objects of the kernel, such as sockets, files and their inodes. */
  slab: number
  /** The buffers of TCP sockets. */
  tcp: number
}

/** The size of a page, in KiB. */
const PAGE_KIB = 4

export function kernelMemory(): KernelMemory {
  const slab = /^Slab:\s+(\d+)/m.exec(readProc('meminfo') ?? '')?.[1]
  const pages = /^TCP:.* mem (\d+)/m.exec(readProc('net/sockstat') ?? '')?.[1]
  return { slab: Number(slab), tcp: Number(pages) * PAGE_KIB }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return undefined
  }
}
