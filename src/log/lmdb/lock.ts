/**
 * The lock of a folder, which one process at a time can hold. The owner listens on a socket in the folder, and stores
 * the name of the socket in the log. The kernel closes the socket when the owner ends, even after a crash. A
 * transaction replaces the name, so only one of several processes that find the socket closed becomes the owner.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StoreError } from './store-error.js'
import { DATA_FILE, LOCK_FILE } from './store-folder.js'
import type { Tables } from './tables.js'

/** The interval between two checks that the path still leads to the folder, in milliseconds. */
const LOOK_INTERVAL = 50

/** The longest path of a socket on every system, in bytes. The system truncates a longer path silently. */
const MAX_SOCKET_PATH = 103

/** The device and inode of each file of the log. */
type Identity = Record<typeof DATA_FILE | typeof LOCK_FILE, string>

/** The error of a folder that another process has taken, or that was removed or replaced. */
export class LostFolderError extends Error {
  override name = 'LostFolderError'
}

/** The lock of a folder that this process owns. */
export class FolderLock {
  readonly #folder: string
  readonly #name: string
  readonly #server: Server
  readonly #descriptor: number
  readonly #meta: Tables['meta']
  readonly #identity: Identity | undefined
  #lookedAt = -Infinity
  #lost: LostFolderError | undefined
  /** Set once another process has taken the folder. This is final, since the state of this process is outdated. */
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
   * Takes the lock of a folder.
   * @param beforeWrite called before the name of the socket is stored
   * @throws StoreError if another process holds the lock, or no socket can be created
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
        `The path of the folder ${folder} is too long for the socket that locks the log. Choose a folder with a shorter path.`,
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
        // a killed process leaves its socket behind
        if (taken && owner !== undefined) rmSync(join(place, owner), { force: true })
      }
      return lock
    } catch (err) {
      await lock.release()
      throw err
    }
  }

  /**
   * Checks whether the path still leads to the open files. It reads the file system at most every 50 ms, so calls
   * before and after every transaction cost nothing.
   * @returns the error, or `undefined`. A folder that is put back can be used again
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
   * Checks that no other process has taken the folder. Call it within a transaction, so that two processes never write.
   * @throws LostFolderError if another process has taken it
   */
  check(): void {
    if (!this.isOwner()) {
      this.#taken ??= new LostFolderError(
        `Another process has taken the folder ${this.#folder}: the lock of this one was removed. Restart the hub.`,
      )
    }
    if (this.#taken) throw this.#taken
  }

  /** Returns whether this process still owns the folder. */
  isOwner(): boolean {
    return !this.#taken && this.#meta.get('owner') === this.#name
  }

  /** Releases the lock. */
  async release(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve)) // this removes the socket, even if the folder has moved
    closeSync(this.#descriptor)
  }
}

/**
 * Returns a path of the folder through its open descriptor, which is short enough for a socket; the folder itself on a
 * system without /proc.
 */
function shortPath(folder: string, descriptor: number): string {
  const through = `/proc/self/fd/${descriptor}`
  return existsSync(through) ? through : folder
}

/** Returns the identity of the files in a folder; `undefined` if one is missing. */
function identify(folder: string): Identity | undefined {
  const data = statSync(join(folder, DATA_FILE), { bigint: true, throwIfNoEntry: false })
  const lock = statSync(join(folder, LOCK_FILE), { bigint: true, throwIfNoEntry: false })
  return data && lock && { [DATA_FILE]: `${data.dev}:${data.ino}`, [LOCK_FILE]: `${lock.dev}:${lock.ino}` }
}

function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one?.[DATA_FILE] === other?.[DATA_FILE] && one?.[LOCK_FILE] === other?.[LOCK_FILE]
}

/** Listens on a socket in this process: a worker of `node:cluster` would otherwise leave that to its primary. */
function listen(path: string, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(`pid ${process.pid}`)
    })
    server.once('error', (err) =>
      reject(
        new StoreError(
          `The socket that locks the log cannot be created in ${folder} (${err.message}). The folder has to be writable by this user, and on a local file system that supports sockets.`,
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

/** Errors of a socket without a listener. Any other error, such as a full queue, means that a process listens. */
const NO_LISTENER = new Set(['ECONNREFUSED', 'ENOENT'])

/** Asks the process that listens at a path for its description; `undefined` if none listens. */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    let isThere = true
    const socket = connect(path)
    socket.setEncoding('utf8')
    // the kernel accepts connections for a process that is too busy to answer
    socket.setTimeout(1_000, () => socket.destroy())
    socket.on('data', (text: string) => (answer += text))
    socket.on('error', (err: NodeJS.ErrnoException) => (isThere = !NO_LISTENER.has(err.code ?? '')))
    socket.on('close', () => resolve(isThere ? answer || 'it does not answer' : undefined))
  })
}
