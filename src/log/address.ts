/** Where events are kept: `memory`, or `file:<folder>`. */
export type LogAddress = 'memory' | `file:${string}`

const FILE = 'file:'

/** Whether a text names a log. */
export function isLogAddress(text: string): text is LogAddress {
  return text === 'memory' || (text.startsWith(FILE) && text.length > FILE.length)
}

/** Returns the folder that an address names; `undefined` for a log in memory. */
export function folderOf(address: LogAddress): string | undefined {
  return address === 'memory' ? undefined : address.slice(FILE.length)
}
