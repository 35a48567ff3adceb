/**
 * One process at a time uses a folder. Whoever does listens on a socket in it, and has put the socket's name into the
 * store: the kernel closes the socket when the process ends, however it ends, and of several that find it closed only one
 * can put its own name there.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StoreError } from './store-error.js'
import type { Tables } from './store.js'

/** A folder that is ours. */
export class FolderLock {
  readonly #server: Server
  readonly #descriptor: number

  private constructor(server: Server, descriptor: number) {
    this.#server = server
    this.#descriptor = descriptor
  }

  /** @throws StoreError when another process uses the folder */
  static async take(folder: string, { meta, root }: Pick<Tables, 'meta' | 'root'>): Promise<FolderLock> {
    const descriptor = openSync(folder, 'r')
    const place = shortPath(folder, descriptor)
    const name = `lock-${randomBytes(6).toString('hex')}.sock`
    const lock = new FolderLock(await listen(join(place, name), folder), descriptor)
    try {
      for (let taken = false; !taken; ) {
        const owner = meta.get('owner') as string | undefined
        const answer = owner === undefined ? undefined : await askOwner(join(place, owner))
        if (answer !== undefined) throw new StoreError(`The log in ${folder} is in use by another process (${answer}). Stop it first, or give this one a folder of its own (FANFARE_LOG=file:<folder>).`)
        taken = root.transactionSync(() => {
          if (meta.get('owner') !== owner) return false
          meta.putSync('owner', name)
          return true
        })
        if (taken && owner !== undefined) rmSync(join(place, owner), { force: true }) // left by a process that was killed
      }
      return lock
    } catch (err) {
      await lock.release()
      throw err
    }
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
  return existsSync(through) ? through : folder
}

function listen(path: string, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(`pid ${process.pid}`)
    })
    server.once('error', (err) => reject(new StoreError(`The folder ${folder} cannot be locked (${err.message}): it has to be writable, and on a file system that takes sockets.`, { cause: err })))
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
