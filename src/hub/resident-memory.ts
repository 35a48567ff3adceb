/** The memory of the process. */
import { memoryUsage } from 'node:process'

let latest = 0

/**
 * Returns the resident memory of the process, in bytes. Node opens a file to read it, so a process without a free file
 * descriptor gets the result of the last reading.
 */
export function residentMemory(): number {
  try {
    latest = memoryUsage.rss()
  } catch {
    // The statistics must not end a hub that has too many connections.
  }
  return latest
}
