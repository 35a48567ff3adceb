/** The setting HOST: an IP address, a host name, or the path of a Unix socket. */
import { isIP } from 'node:net'

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = '3000'

/** The address to connect to if a hub listens on all addresses. */
export const EVERYWHERE: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * The maximum length of a Unix socket's path in bytes: `sun_path` without the final NUL (unix(7)). macOS has 4 fewer.
 */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103
const UNIX = 'unix:'

/** Returns the path of the Unix socket that `HOST` names as `/path` or `unix:path`; `undefined` for anything else. */
export function socketPathOf(host: string): string | undefined {
  if (host.startsWith(UNIX)) return host.slice(UNIX.length)
  return host.startsWith('/') ? host : undefined
}

/** Whether a text is an IP address, a possible host name (RFC 1123, 2.1), or the path of a Unix socket. */
export function isHost(text: string): boolean {
  const path = socketPathOf(text)
  if (path !== undefined) return path !== '' && !path.includes('\0') && Buffer.byteLength(path) <= MAX_SOCKET_PATH
  return isIP(text) !== 0 || /^[\w-]+(\.[\w-]+)*\.?$/.test(text)
}

/**
 * Whether two servers cannot have the same port at these two addresses. Of host names it knows `localhost` only: others
 * count as different addresses.
 */
export function overlap(host: string, other: string): boolean {
  if (host === other) return true
  return [
    [host, other],
    [other, host],
  ].some(([one = '', two = '']) => {
    if (one === '::') return true // IPv4 too
    if (one === '0.0.0.0') return isIP(two) !== 6
    return one === 'localhost' && ['127.0.0.1', '::1'].includes(two)
  })
}
