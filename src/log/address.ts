/** The address of a log: `memory`, or `file:<folder>`. */
export type LogAddress = 'memory' | `file:${string}`

const FILE = 'file:'

/** Whether a text is the address of a log. */
export function isLogAddress(text: string): text is LogAddress {
  return text === 'memory' || (text.startsWith(FILE) && text.length > FILE.length)
}

/** Returns the folder of an address; `undefined`: the log is in memory. */
export function folderOf(address: LogAddress): string | undefined {
  return address === 'memory' ? undefined : address.slice(FILE.length)
}
