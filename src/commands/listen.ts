/** Makes a hub listen. An error is one sentence that says what to do. */
import { lookup } from 'node:dns/promises'
import { lstatSync, rmSync } from 'node:fs'
import { connect, isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { socketPathOf } from '../server/listen-address.js'
import { SettingsError } from '../model/settings-error.js'

/**
 * The length of the kernel's queue of connections that the process has not accepted yet. With Node's default of 511,
 * some of a thousand clients that connect at once wait a second.
 */
const BACKLOG = 4_096

/** The address of a hub. */
export interface Address {
  /** The address for people: `http://127.0.0.1:3000` or `unix:/run/fanfare.sock`. */
  text: string
  /** The base of request URLs. */
  url: string
  /** The path of the Unix socket, if the hub listens on one. */
  socketPath?: string
}

/** The names of the settings of an address. */
export interface AddressNames {
  host: string
  port: string
}

/**
 * Listens on a port, or on a Unix socket.
 * @param host an address, a host name (its first address counts), or the path of a Unix socket, as in `HOST`
 * @param port unused for a Unix socket
 * @param sharesSocket whether this is a worker, whose Unix socket other workers may already use
 * @param names the settings of the address, for messages
 * @throws SettingsError that says what to do
 */
export async function listen(
  app: FastifyInstance,
  host: string,
  port: number,
  sharesSocket = false,
  names: AddressNames = { host: 'HOST', port: 'PORT' },
): Promise<Address> {
  const socketPath = socketPathOf(host)
  const options = { backlog: BACKLOG, listenTextResolver: () => 'accepting connections' }
  try {
    if (socketPath === undefined) {
      const url = await app.listen({ ...options, host: await oneAddressOf(host), port })
      return { text: url, url }
    }
    if (!sharesSocket) await removeStale(socketPath)
    await app.listen({ ...options, path: socketPath })
    return { text: `unix:${socketPath}`, url: 'http://localhost', socketPath }
  } catch (err) {
    if (err instanceof SettingsError) throw err
    throw new SettingsError(
      socketPath === undefined ? wordsForPort(err, host, port, names) : wordsForSocket(err, socketPath),
      { cause: err },
    )
  }
}

/**
 * Resolves a host name to one address. For a name, Fastify would create a server per address. When it closes, it
 * answers the requests in flight on the first server only.
 */
async function oneAddressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host
}

/**
 * Removes a stale socket, which a killed process leaves behind.
 * @throws SettingsError if a process listens on the socket, or if the path is not a socket
 */
export async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket())
    throw new SettingsError(`HOST=${path} is not a socket: remove the file at this path, or set HOST to another path.`)
  const refusal = await refusalOf(path)
  if (refusal === undefined) throw inUse(path)
  if (refusal !== 'ECONNREFUSED' && refusal !== 'ENOENT')
    throw new SettingsError(
      `HOST=${path}: the hub cannot find out whether another process listens on this socket (${refusal}). Remove the socket, or set HOST to another path.`,
    )
  // the inode differs if another process has replaced the socket meanwhile
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === found.ino) rmSync(path, { force: true })
}

/** Returns the error code of a connection to a socket; `undefined` if it succeeds. */
function refusalOf(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (err: NodeJS.ErrnoException) => resolve(err.code ?? err.message))
  })
}

function inUse(path: string): SettingsError {
  return new SettingsError(
    `HOST=${path}: another process listens on this socket. Stop it, or set HOST to another path.`,
  )
}

function wordsForPort(err: unknown, host: string, port: number, names: AddressNames): string {
  const code = codeOf(err)
  switch (code) {
    case 'EADDRINUSE':
      return `${names.port}=${port} (${names.host}=${host}): another process listens on this port. Stop it, or set ${names.port} to another port (0: any free port).`
    case 'EACCES':
    case 'EPERM':
      return `${names.port}=${port}: this user may not listen on this port. Set ${names.port} to 1024 or more, or give the process CAP_NET_BIND_SERVICE.`
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return `${names.host}=${host} is not an address of this machine (${code}). Set ${names.host} to an address of this machine, or to 0.0.0.0 or :: for all addresses.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
      return `${names.host}=${host} has no address (${code}). Set ${names.host} to an IP address, or to a name that this machine can resolve.`
    default:
      return `The hub cannot listen on ${names.host}=${host} ${names.port}=${port} (${code}). Set ${names.host} or ${names.port} to another value.`
  }
}

function wordsForSocket(err: unknown, path: string): string {
  const code = codeOf(err)
  if (code === 'EADDRINUSE') return inUse(path).message
  return `HOST=${path}: the hub cannot create the socket (${code}). Check that its folder exists and that this user may write to it, or set HOST to another path.`
}

function codeOf(err: unknown): string {
  const { code, message } = err as Partial<NodeJS.ErrnoException>
  return code ?? message ?? String(err)
}
