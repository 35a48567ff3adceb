/** What the kernel says of a process, where there is a `/proc` (Linux). */
import { readFileSync } from 'node:fs'

/** The kernel counts in hundredths of a second for user space (USER_HZ), on every architecture that Node runs on. */
const TICKS_A_SECOND = 100

/** The seconds of CPU that a process has used, its own and the kernel's for it; `NaN` where that is not known. */
export function cpuSeconds(pid: number): number {
  const stat = readProc(`${pid}/stat`)
  if (stat === undefined) return NaN
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may have spaces
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

/**
 * The memory that is a process's own, in KiB: anonymous and shared pages, without the files that it has mapped, which
 * the kernel can drop. `NaN` where that is not known.
 */
export function residentKiB(pid: number): number {
  const status = readProc(`${pid}/status`)
  if (status === undefined) return NaN
  const pages = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  return pages('RssAnon') + pages('RssShmem')
}

/** How many files and sockets a process that this one starts may have open; `Infinity` where that is not known. */
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
