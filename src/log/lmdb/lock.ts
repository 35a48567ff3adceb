/**
 * The lock of a folder, which one process at a time can hold. The owner listens on a socket in the folder, and stores
 * the name of the socket in the log. Other processes connect to it. The kernel closes the socket when the owner ends,
 * even after a crash. A transaction replaces the name, so only one of several processes that find the socket
 * closed becomes the owner.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasFiles, LostFolderError, replaced, type FolderFiles } from './folder-files.js'
import { MessageSocket } from './message-socket.js'
import { VERSION, type ToLeader, type ToReplica } from './messages.js'
import { hasEnded } from './session.js'
import { SameProcessIdError, StoreError } from './store-error.js'
import type { Tables, WritableTables } from './tables.js'
import { transactSync } from './transaction.js'

/** The interval between two checks that the path still leads to the folder, in milliseconds. */
const LOOK_INTERVAL = 50

/**
 * The maximum length of a socket's path that all systems support, in bytes. The system truncates a longer path
 * silently.
 */
const MAX_SOCKET_PATH = 103

/** The name of a socket that `FolderLock` creates. */
const SOCKET_NAME = /^lock-[0-9a-f]{12}\.sock$/

type Hello = Extract<ToReplica, { kind: 'hello' }>

/** The tables of a folder that is locked. */
type LockedTables = Pick<WritableTables, 'files' | 'guard' | 'meta' | 'root'>

/** The connection of a replica to the process that owns the folder. */
export type OwnerSocket = MessageSocket<ToLeader, ToReplica>

/** A connection to the process that owns a folder. */
export interface OwnerConnection {
  socket: OwnerSocket
  /** The name of its lock. */
  owner: string
}

/** The connection of the owner of a folder to a replica. */
export type ReplicaSocket = MessageSocket<ToReplica, ToLeader>

/** The lock of a folder that this process owns. */
export class FolderLock {
  readonly #folder: string
  readonly #name: string
  readonly #server: Server
  readonly #descriptor: number
  readonly #meta: Tables['meta']
  readonly #files: FolderFiles
  /** The connections of other processes. */
  readonly #connections = new Set<Socket>()
  /** Called with each connection; `undefined`: connections wait. */
  #accept: ((socket: ReplicaSocket) => void) | undefined
  /** Returns the process ids of the replicas. */
  #replicas: () => number[] = () => []
  #lookedAt = -Infinity
  #lost: LostFolderError | undefined
  /** Set once another process has taken the folder. This is final, since the state of this process is outdated. */
  #taken: LostFolderError | undefined

  private constructor(folder: string, name: string, server: Server, descriptor: number, tables: LockedTables) {
    this.#folder = folder
    this.#name = name
    this.#server = server
    this.#descriptor = descriptor
    this.#meta = tables.meta
    this.#files = tables.files
    server.on('connection', (connection) => {
      this.#connections.add(connection.once('close', () => this.#connections.delete(connection)))
      this.#greet(connection)
    })
  }

  /**
   * Takes the lock of a folder, or connects to the process that holds it.
   * @param beforeWrite called before the name of the socket is stored
   * @param usurper the owner that has taken the folder from a living process. It may use the files through another
   *   path, where this process cannot see whether it lives
   * @throws StoreError if no socket can be created, or the owner cannot be reached; LostFolderError if the folder no
   *   longer has the files of the tables, or the usurper may use them through another path
   */
  static async take(
    folder: string,
    tables: LockedTables,
    beforeWrite: () => void,
    usurper?: string,
  ): Promise<FolderLock | OwnerConnection> {
    const { meta } = tables
    const descriptor = openSync(folder, 'r')
    const socketFolder = shortPath(folder, descriptor)
    let lock: FolderLock | undefined
    const release = async () => (lock ? lock.release() : closeSync(descriptor))
    try {
      for (;;) {
        // the path and the tables would have different owners, and both could be taken
        if (!hasFiles(folder, tables.files)) throw replaced(folder)
        const owner = ownerOf(tables)
        const socket = owner === undefined ? undefined : await connectTo(folder, join(socketFolder, owner))
        if (socket) {
          await release()
          return { socket, owner: owner! }
        }
        if (owner === usurper && isElsewhere(socketFolder, owner, meta)) throw taken(folder)
        lock ??= await FolderLock.#create(folder, socketFolder, descriptor, tables)
        const name = lock.#name
        beforeWrite()
        const isTaken = transactSync(tables, () => {
          if (meta.get('owner') !== owner) return false
          meta.putSync('owner', name)
          return true
        })
        if (!isTaken) continue
        // a killed process leaves its socket behind
        if (owner !== undefined) rmSync(join(socketFolder, owner), { force: true })
        return lock
      }
    } catch (err) {
      await release()
      throw err
    }
  }

  /** Creates a socket in the folder, which is not the lock yet. */
  static async #create(
    folder: string,
    socketFolder: string,
    descriptor: number,
    tables: LockedTables,
  ): Promise<FolderLock> {
    const name = `lock-${randomBytes(6).toString('hex')}.sock` // as SOCKET_NAME
    if (Buffer.byteLength(join(socketFolder, name)) > MAX_SOCKET_PATH) {
      throw new StoreError(
        `The path of the folder ${folder} is too long for the socket that locks the log. Choose a folder with a shorter path.`,
      )
    }
    return new FolderLock(folder, name, await listen(join(socketFolder, name), folder), descriptor, tables)
  }

  /**
   * Starts to accept replicas, also those that have connected before.
   * @param accept called with each connection
   * @param replicas returns the process ids of the replicas
   */
  accept(accept: (socket: ReplicaSocket) => void, replicas: () => number[]): void {
    this.#accept = accept
    this.#replicas = replicas
    for (const connection of this.#connections) accept(new MessageSocket(connection))
  }

  #greet(connection: Socket): void {
    const socket: ReplicaSocket = new MessageSocket(connection)
    socket.send({ kind: 'hello', pid: process.pid, replicas: this.#replicas(), version: VERSION })
    this.#accept?.(socket)
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
    if (hasFiles(this.#folder, this.#files)) this.#lost = undefined
    else this.#lost ??= replaced(this.#folder)
    return this.#lost
  }

  /** Returns the error of a folder that another process has taken; `undefined`: this process still owns it. */
  taken(): LostFolderError | undefined {
    if (!this.isOwner()) this.#taken ??= taken(this.#folder)
    return this.#taken
  }

  /**
   * Checks that no other process has taken the folder. Call it within a transaction, so that two processes never write.
   * @throws LostFolderError if another process has taken it
   */
  check(): void {
    const lost = this.taken()
    if (lost) throw lost
  }

  /** Returns whether this process still owns the folder. */
  isOwner(): boolean {
    return !this.#taken && ownerOf({ meta: this.#meta }) === this.#name
  }

  /** Releases the lock. */
  async release(): Promise<void> {
    // this removes the socket, even if the folder has moved
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const connection of this.#connections) connection.destroy()
    await closed
    closeSync(this.#descriptor)
  }
}

/** Returns the name of the lock of the process that owns the folder; `undefined`: the folder is new. */
export function ownerOf({ meta }: Pick<Tables, 'meta'>): string | undefined {
  return meta.get('owner') as string | undefined
}

/** Whether an owner may use the files through another path: its socket is missing, and it has not ended the session. */
function isElsewhere(socketFolder: string, owner: string | undefined, meta: Tables['meta']): boolean {
  return owner !== undefined && !existsSync(join(socketFolder, owner)) && !hasEnded(meta)
}

function taken(folder: string): LostFolderError {
  return new LostFolderError(
    `Another process has taken the folder ${folder}: the lock of this one was removed, or the other process has opened the same files through another path. Stop that process, or restart this hub.`,
    'another process has taken the files of the log',
  )
}

/**
 * Returns a path of the folder through its open descriptor, which is short enough for a socket; the folder itself on a
 * system without /proc.
 */
function shortPath(folder: string, descriptor: number): string {
  const through = `/proc/self/fd/${descriptor}`
  return existsSync(through) ? through : folder
}

/** Listens on a socket. With `exclusive`, a worker of `node:cluster` listens itself, and not its primary. */
function listen(path: string, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true })
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
/** The error of a socket whose process accepts no connections, since it is frozen. */
const QUEUE_IS_FULL = 'EAGAIN'
/** The time limit for connecting to a listening process, and the time between two attempts; in milliseconds. */
const CONNECT_TIME = 1_000
const CONNECT_INTERVAL = 20

/**
 * Connects to the process that listens at a path; `undefined` if none listens.
 * @throws StoreError if the process cannot be reached
 */
async function connectTo(folder: string, path: string): Promise<OwnerSocket | undefined> {
  for (const end = performance.now() + CONNECT_TIME; ;) {
    try {
      return new MessageSocket(await connectOnce(path))
    } catch (err) {
      const { code = '', message } = err as NodeJS.ErrnoException
      if (NO_LISTENER.has(code)) return undefined
      if (performance.now() > end)
        throw new StoreError(
          `The log in ${folder} is in use by another process (${code === QUEUE_IS_FULL ? 'it does not answer' : message}). Stop it first, start this one as the same user, or give it a folder of its own (FANFARE_LOG=file:<folder>).`,
          { cause: err },
        )
      await delay(CONNECT_INTERVAL)
    }
  }
}

/**
 * Checks that no process that has the folder open has the id of this one: LMDB tells processes apart by their ids. It
 * asks the owner, so it also finds a frozen owner, beside which LMDB could block this whole process.
 * @param allowsSameProcess whether this process may have the folder open, for tests
 * @throws SameProcessIdError; StoreError if the owner does not answer
 */
export async function requireUniqueProcessId(folder: string, allowsSameProcess: boolean): Promise<void> {
  for await (const { pid, replicas } of ownersOf(folder)) {
    if (!allowsSameProcess && [pid, ...replicas].includes(process.pid)) throw new SameProcessIdError(folder)
  }
}

/**
 * Checks that no process uses the log of a folder.
 * @throws StoreError if one does
 */
export async function requireUnused(folder: string): Promise<void> {
  for await (const { pid } of ownersOf(folder)) throw inUse(folder, pid)
}

/**
 * Finds the process that owns a folder, without opening the log.
 * @throws StoreError if the owner does not answer
 */
async function* ownersOf(folder: string): AsyncGenerator<Hello> {
  const descriptor = openSync(folder, 'r')
  const socketFolder = shortPath(folder, descriptor)
  try {
    // The log has the name of the owner's socket, and cannot be read yet. The sockets of other processes are closed.
    for (const name of readdirSync(socketFolder).filter((name) => SOCKET_NAME.test(name))) {
      const socket = await connectTo(folder, join(socketFolder, name))
      if (!socket) continue
      const hello = await helloOf(socket)
      if (!hello) throw inUse(folder, undefined)
      yield hello
    }
  } finally {
    closeSync(descriptor)
  }
}

/** Returns the first message of the process at the other end, and closes the connection; `undefined`: it is frozen. */
export function helloOf(socket: OwnerSocket): Promise<Hello | undefined> {
  return new Promise((resolve) => {
    const answer = (hello: Hello | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(hello)
    }
    const timer = setTimeout(() => answer(undefined), CONNECT_TIME)
    socket.receive(
      (message) => message.kind === 'hello' && answer(message),
      () => answer(undefined),
    )
  })
}

/** Returns the error of a folder that another process uses. */
export function inUse(folder: string, pid: number | undefined): StoreError {
  return new StoreError(
    `The log in ${folder} is in use by another process (${pid === undefined ? 'it does not answer' : `pid ${pid}`}). Stop it first, or give this one a folder of its own (FANFARE_LOG=file:<folder>).`,
  )
}

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.pause()
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })
}
