import { existsSync, readFileSync } from 'node:fs'

/** Whether this system shows the memory of a process (Linux). */
export const canMeasure = existsSync('/proc/self/status')

/**
 * Returns the memory of a process that is not mapped from a file, in MB: anonymous and shared pages
 * (proc_pid_status(5)).
 */
export function residentMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
  return (kilobytes('RssAnon') + kilobytes('RssShmem')) / 1024
}
