/** Has a hub listen, and says in one sentence why it cannot. */
import { lookup } from 'node:dns/promises'
import { lstatSync, rmSync } from 'node:fs'
import { connect, isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { socketPathOf } from '../server/listen-address.js'
import { SettingsError } from '../model/settings-error.js'

/**
 * Connections that the kernel accepts for the process while it is busy. With Node's 511, of a thousand clients that
 * connect at once some wait a second.
 */
const BACKLOG = 4_096

/** Where a hub can be reached. */
export interface Address {
  /** How it is told to people: `http://127.0.0.1:3000`, or `unix:/run/fanfare.sock`. */
  text: string
  /** What the URLs of requests begin with. */
  url: string
  /** The path of the Unix socket that the URLs are asked of, if it is one. */
  socketPath?: string
}

/**
 * Listens on a port, or on a Unix socket.
 * @param host an address, a name, of which the first address is taken, or the path of a Unix socket, as in `HOST`
 * @param port is not used for a Unix socket
 * @throws SettingsError saying what to do
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<Address> {
  const socketPath = socketPathOf(host)
  const options = { backlog: BACKLOG, listenTextResolver: () => 'accepting connections' }
  try {
    if (socketPath === undefined) {
      const url = await app.listen({ ...options, host: await oneAddressOf(host), port })
      return { text: url, url }
    }
    await removeStale(socketPath)
    await app.listen({ ...options, path: socketPath })
    return { text: `unix:${socketPath}`, url: 'http://localhost', socketPath }
  } catch (err) {
    if (err instanceof SettingsError) throw err
    throw new SettingsError(
      socketPath === undefined ? wordsForPort(err, host, port) : wordsForSocket(err, socketPath),
      { cause: err },
    )
  }
}

/**
 * Fastify gives each address of a name a server of its own, and answers on the first alone what is in flight when it
 * closes.
 */
async function oneAddressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host
}

/**
 * Removes a socket that nobody listens on, as a process that was killed leaves behind.
 * @throws SettingsError when somebody does, or there is something else in its place
 */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket())
    throw new SettingsError(`HOST=${path} is no socket: remove what is there, or set HOST to another path.`)
  const refusal = await refusalOf(path)
  if (refusal === undefined) throw inUse(path)
  if (refusal !== 'ECONNREFUSED' && refusal !== 'ENOENT')
    throw new SettingsError(
      `HOST=${path}: it cannot be seen whether another process listens on the socket (${refusal}). Remove it, or set HOST to another path.`,
    )
  // else another process was faster
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === found.ino) rmSync(path, { force: true })
}

/** Returns the code of the error that a connection to a socket fails with; `undefined` when it does not. */
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

function wordsForPort(err: unknown, host: string, port: number): string {
  const code = codeOf(err)
  switch (code) {
    case 'EADDRINUSE':
      return `PORT=${port} (HOST=${host}): another process listens on this port. Stop it, or set PORT to another one (0: any that is free).`
    case 'EACCES':
    case 'EPERM':
      return `PORT=${port}: this user may not listen on this port. Set PORT to 1024 or more, or give the process CAP_NET_BIND_SERVICE.`
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return `HOST=${host} is no address of this machine (${code}). Set HOST to one that is, or to 0.0.0.0 or :: for all of them.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
      return `HOST=${host} has no address (${code}). Set HOST to an IP address, or to a name that this machine can resolve.`
    default:
      return `The hub cannot listen on HOST=${host} PORT=${port} (${code}). Set HOST or PORT to another one.`
  }
}

function wordsForSocket(err: unknown, path: string): string {
  const code = codeOf(err)
  if (code === 'EADDRINUSE') return inUse(path).message
  return `HOST=${path}: the socket cannot be made (${code}). Check that its folder exists and may be written by this user, or set HOST to another path.`
}

function codeOf(err: unknown): string {
  const { code, message } = err as Partial<NodeJS.ErrnoException>
  return code ?? message ?? String(err)
}
