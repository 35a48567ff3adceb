/** Opens the log that the settings name. */
import { folderOf, type LogAddress } from './address.js'
import type { FileLogOptions } from './file.js'
import type { EventLog } from './log.js'
import { MemoryLog } from './memory.js'

/** @throws StoreError when a folder cannot be used */
export async function openLog(address: LogAddress, options: Omit<FileLogOptions, 'folder'>): Promise<EventLog> {
  const folder = folderOf(address)
  if (folder === undefined) return new MemoryLog(options.retention)
  const { FileLog } = await import('./file.js') // the database is loaded only where it is used
  return FileLog.open({ folder, ...options })
}
