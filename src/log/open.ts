/** Opens the log that the settings name. */
import type { FileLogOptions } from './file.js'
import type { EventLog } from './log.js'
import { MemoryLog } from './memory.js'

/** Where events are kept: `memory`, or `file:<folder>`. */
export type LogAddress = 'memory' | `file:${string}`

/** Whether a text names a log. */
export function isLogAddress(text: string): text is LogAddress {
  return text === 'memory' || (text.startsWith('file:') && text.length > 'file:'.length)
}

/** @throws StoreError when a folder cannot be used */
export async function openLog(address: LogAddress, options: Omit<FileLogOptions, 'folder'>): Promise<EventLog> {
  if (address === 'memory') return new MemoryLog(options.retention)
  const { FileLog } = await import('./file.js') // the database is loaded only where it is used
  return FileLog.open({ folder: address.slice('file:'.length), ...options })
}
