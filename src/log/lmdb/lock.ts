/**
 * One process at a time uses a folder. The process listens on a socket in the folder, and puts the socket's name into
 * the store. The kernel closes the socket when the process ends, however it ends. Of several processes that find it
 * closed, only one can put its own name into the store.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StoreError } from './store-error.js'
import { DATA_FILE, LOCK_FILE } from './store-folder.js'
import type { Tables } from './tables.js'

/** How often it is looked whether the path still leads to the folder, in milliseconds. */
const LOOK_INTERVAL = 50

/** The most bytes of a socket's path, on every system: a longer one would be cut off silently. */
const MAX_SOCKET_PATH = 103

/** The files of the log, as numbers of the file system. */
type Identity = Record<typeof DATA_FILE | typeof LOCK_FILE, string>

/** The folder is not this process's any more, or not where it was. */
export class LostFolderError extends Error {
  override name = 'LostFolderError'
}

/** A folder that is this process's. */
export class FolderLock {
  readonly #folder: string
  readonly #name: string
  readonly #server: Server
  readonly #descriptor: number
  readonly #meta: Tables['meta']
  readonly #identity: Identity | undefined
  #lookedAt = -Infinity
  #lost: LostFolderError | undefined
  /** Another process has the folder. This cannot be undone: what this process knows of the log is out of date. */
  #taken: LostFolderError | undefined

  private constructor(folder: string, name: string, server: Server, descriptor: number, meta: Tables['meta']) {
    this.#folder = folder
    this.#name = name
    this.#server = server
    this.#descriptor = descriptor
    this.#meta = meta
    this.#identity = identify(folder)
  }

  /**
   * Takes a folder.
   * @param beforeWrite called before the name is put into the store
   * @throws StoreError when another process uses the folder
   */
  static async take(
    folder: string,
    { meta, root }: Pick<Tables, 'meta' | 'root'>,
    beforeWrite: () => void,
  ): Promise<FolderLock> {
    const descriptor = openSync(folder, 'r')
    const place = shortPath(folder, descriptor)
    const name = `lock-${randomBytes(6).toString('hex')}.sock`
    if (Buffer.byteLength(join(place, name)) > MAX_SOCKET_PATH) {
      closeSync(descriptor)
      throw new StoreError(
        `The path of the folder ${folder} is too long for a socket, by which the log is locked. Choose a folder with a shorter path.`,
      )
    }
    const server = await listen(join(place, name), folder).catch((err: unknown) => {
      closeSync(descriptor)
      throw err
    })
    const lock = new FolderLock(folder, name, server, descriptor, meta)
    try {
      for (let taken = false; !taken;) {
        const owner = meta.get('owner') as string | undefined
        const answer = owner === undefined ? undefined : await askOwner(join(place, owner))
        if (answer !== undefined)
          throw new StoreError(
            `The log in ${folder} is in use by another process (${answer}). Stop it first, or give this one a folder of its own (FANFARE_LOG=file:<folder>).`,
          )
        beforeWrite()
        taken = root.transactionSync(() => {
          if (meta.get('owner') !== owner) return false
          meta.putSync('owner', name)
          return true
        })
        // left by a process that was killed
        if (taken && owner !== undefined) rmSync(join(place, owner), { force: true })
      }
      return lock
    } catch (err) {
      await lock.release()
      throw err
    }
  }

  /**
   * Looks whether the path still leads to the files that are open; at most every 50 ms, so that it costs nothing to
   * ask before and after every transaction.
   * @returns what is wrong. A folder that is put back is well again
   */
  look(): LostFolderError | undefined {
    const now = performance.now()
    if (this.#taken) return this.#taken
    if (now - this.#lookedAt < LOOK_INTERVAL) return this.#lost
    this.#lookedAt = now
    const found = identify(this.#folder)
    if (isSame(found, this.#identity)) this.#lost = undefined
    else
      this.#lost ??= new LostFolderError(
        `The folder ${this.#folder} was ${found ? 'replaced' : 'removed or moved'} while the log was in use. Put it back, or restart the hub.`,
      )
    return this.#lost
  }

  /**
   * Makes sure that no other process has taken the folder: within a transaction, so that two can never write.
   * @throws LostFolderError
   */
  check(): void {
    if (!this.isOwner()) {
      this.#taken ??= new LostFolderError(
        `Another process has taken the folder ${this.#folder}: the lock of this one was removed. Restart the hub.`,
      )
    }
    if (this.#taken) throw this.#taken
  }

  /** Whether no other process has taken the folder. */
  isOwner(): boolean {
    return !this.#taken && this.#meta.get('owner') === this.#name
  }

  /** Lets go of the folder. */
  async release(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve)) // which removes the socket, wherever the folder is now
    closeSync(this.#descriptor)
  }
}

/** The path of a socket may have 107 bytes; through the open folder it is always short enough. */
function shortPath(folder: string, descriptor: number): string {
  const through = `/proc/self/fd/${descriptor}`
  return existsSync(through) ? through : folder
}

/** The files that a path leads to; `undefined`: they are not there. */
function identify(folder: string): Identity | undefined {
  const data = statSync(join(folder, DATA_FILE), { bigint: true, throwIfNoEntry: false })
  const lock = statSync(join(folder, LOCK_FILE), { bigint: true, throwIfNoEntry: false })
  return data && lock && { [DATA_FILE]: `${data.dev}:${data.ino}`, [LOCK_FILE]: `${lock.dev}:${lock.ino}` }
}

function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one?.[DATA_FILE] === other?.[DATA_FILE] && one?.[LOCK_FILE] === other?.[LOCK_FILE]
}

/**
 * Listens in this process, also when it is a worker of `node:cluster`, which would otherwise leave that to its primary.
 */
function listen(path: string, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(`pid ${process.pid}`)
    })
    server.once('error', (err) =>
      reject(
        new StoreError(
          `No socket can be made in ${folder}, by which the log is locked (${err.message}). The folder has to be writable by this user, and on a local file system that takes sockets.`,
          { cause: err },
        ),
      ),
    )
    server.listen({ path, exclusive: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}

/**
 * What tells that nobody listens at a path. Everything else, such as a queue that is full, tells that somebody does.
 */
const NOBODY = new Set(['ECONNREFUSED', 'ENOENT'])

/** Who listens there; `undefined` when nobody does. */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    let isThere = true
    const socket = connect(path)
    socket.setEncoding('utf8')
    socket.setTimeout(1_000, () => socket.destroy()) // its kernel has it: a process that is too busy to answer
    socket.on('data', (text: string) => (answer += text))
    socket.on('error', (err: NodeJS.ErrnoException) => (isThere = !NOBODY.has(err.code ?? '')))
    socket.on('close', () => resolve(isThere ? answer || 'it does not answer' : undefined))
  })
}
