/** The address of a log: `memory`, `file:<folder>`, or `nats://<host>:<port>,…`. */
export type LogAddress = 'memory' | `file:${string}` | `nats://${string}`

const FILE = 'file:'
const NATS = 'nats://'
const NATS_PORT = '4222'

/** A server of NATS: a name or an address, of version 6 in brackets, and a port. */
const server = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/

/** Whether a text is the address of a log. */
export function isLogAddress(text: string): text is LogAddress {
  if (text.startsWith(NATS)) return writtenServers(text).every((written) => server.test(written))
  return text === 'memory' || (text.startsWith(FILE) && text.length > FILE.length)
}

/** Returns the folder of an address; `undefined`: the log is not in a folder. */
export function folderOf(address: LogAddress): string | undefined {
  return address.startsWith(FILE) ? address.slice(FILE.length) : undefined
}

/** Returns the servers of NATS of an address, as `host:port`; `undefined`: the log is not on NATS. */
export function natsServersOf(address: LogAddress): string[] | undefined {
  if (!address.startsWith(NATS)) return undefined
  return writtenServers(address).map((written) => (/:\d+$/.test(written) ? written : `${written}:${NATS_PORT}`))
}

/** Splits a list of servers, each of which may have `nats://`. */
function writtenServers(text: string): string[] {
  return text.split(',').map((part) => {
    const written = part.trim()
    return written.startsWith(NATS) ? written.slice(NATS.length).replace(/\/$/, '') : written
  })
}
