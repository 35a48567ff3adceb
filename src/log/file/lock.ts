/**
 * One process at a time uses a folder. The lock is a socket that listens in it: the kernel closes it when the process
 * ends, however it ends, and whoever finds it can ask whose it is.
 */
import { closeSync, existsSync, openSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StoreError } from './store.js'

const SOCKET = 'lock.sock'

/** A folder that is ours. */
export class FolderLock {
  readonly #server: Server
  readonly #descriptor: number

  private constructor(server: Server, descriptor: number) {
    this.#server = server
    this.#descriptor = descriptor
  }

  /** @throws StoreError when another process uses the folder */
  static async take(folder: string): Promise<FolderLock> {
    const descriptor = openSync(folder, 'r')
    const path = shortPath(folder, descriptor)
    try {
      return new FolderLock(await listen(path), descriptor)
    } catch (err) {
      const owner = isInUse(err) ? await askOwner(path) : undefined
      if (owner !== undefined || !isInUse(err)) {
        closeSync(descriptor)
        throw new StoreError(owner === undefined
          ? `The folder ${folder} cannot be locked (${err instanceof Error ? err.message : String(err)}): it has to be on a file system that takes sockets.`
          : `The log in ${folder} is in use by another process (${owner}). Stop it first, or give this one a folder of its own (FANFARE_LOG=file:<folder>).`)
      }
    }
    unlinkSync(path) // left by a process that was killed
    return new FolderLock(await listen(path), descriptor)
  }

  /** Lets go of the folder. */
  async release(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve))
    closeSync(this.#descriptor)
  }
}

/** The path of a socket may have 107 bytes; through the open folder it is always short enough. */
function shortPath(folder: string, descriptor: number): string {
  const through = `/proc/self/fd/${descriptor}`
  return join(existsSync(through) ? through : folder, SOCKET)
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(`pid ${process.pid}`)
    })
    server.once('error', reject)
    server.listen(path, () => {
      server.unref()
      resolve(server)
    })
  })
}

/** Who listens there; `undefined` when nobody does. */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(path)
    socket.setEncoding('utf8')
    socket.setTimeout(1_000, () => socket.destroy()) // its kernel has it: a process that is too busy to answer
    socket.on('connect', () => (answer = 'running'))
    socket.on('data', (text: string) => (answer = text))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer === '' ? undefined : answer))
  })
}

function isInUse(err: unknown): boolean {
  return err instanceof Error && 'code' in err && err.code === 'EADDRINUSE'
}
