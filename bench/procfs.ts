/** Reads the kernel's figures about a process from `/proc` (Linux). */
import { readFileSync } from 'node:fs'

/** The unit of the kernel's CPU times (USER_HZ). It is the same on every architecture that Node supports. */
const TICKS_A_SECOND = 100

/** Returns the user and system time of a process, in seconds; `NaN` without `/proc`. */
export function cpuSeconds(pid: number): number {
  const stat = readProc(`${pid}/stat`)
  if (stat === undefined) return NaN
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may have spaces
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
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

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return undefined
  }
}
