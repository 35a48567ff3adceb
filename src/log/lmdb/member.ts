/**
 * This process among the processes of a folder. It is the leader or a replica, and changes its role when the leader
 * ends. Writes that the old leader has not answered are sent again to the new one, which stores each once.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { NewEvent } from '../../model/event.js'
import { HubError } from '../../model/hub-error.js'
import { monotonicNow } from '../../model/clock.js'
import type { Appended, AppendOptions, LogDelta, PutOptions } from '../log.js'
import { fromAnswer } from './answers.js'
import { prepareFolder, Leader, type LeaderOptions, type OwnedFolder } from './leader.js'
import { LostFolderError } from './folder-files.js'
import { FolderLock, ownerOf, type OwnerConnection, type OwnerSocket } from './lock.js'
import type { Refusal, WriteRequest, WriteResult } from './messages.js'
import { NO_WORK } from './pages.js'
import { LostLeaderError, Replica } from './replica.js'
import { RETRY_TIME, systemTime } from './replica-writes.js'
import { mayBeStored, notStored } from './refusal.js'
import { toUpdate, type ReplicatedChange } from './replicated-change.js'
import type { Role } from './role.js'
import { Room } from './room.js'
import type { State } from './state.js'
import { requireRoom } from './store-folder.js'
import type { WritableTables } from './tables.js'

/** The interval of attempts to find the leader, and of checks of the time limits; in milliseconds. */
const SEARCH_INTERVAL = 20
const CHECK_INTERVAL = 100

export interface MemberOptions extends Omit<LeaderOptions, 'onTaken'> {
  /** Whether other processes may use the folder. */
  isShared: boolean
  /** The maximum time that a write waits for the leader, in milliseconds. */
  leaderTimeout: number
  /** As `ReplicaListener.catchUp`. */
  catchUp: () => Promise<boolean>
  /** Brings the state up to date with the tables. */
  reload: () => void
  /** Called with each role that the process takes. */
  onRole: (role: FolderRole) => void
}

/** The role of a process in a folder: the leader writes. */
export type FolderRole = 'leader' | 'replica'

/** A write that the leader has not answered. */
interface PendingWrite {
  readonly number: number
  readonly request: WriteRequest
  /** The time of the request, on the system's monotonic clock in milliseconds. */
  readonly since: number
  readonly resolve: (result: WriteResult) => void
  readonly reject: (err: Error) => void
}

/** The access of a process to a folder: as its owner, or by a connection to its owner. */
export type FolderAccess = OwnedFolder | OwnerConnection

/**
 * Takes the lock of a folder, or connects to the process that holds it.
 * @param isContinued whether this process has used the folder before
 * @param usurper as for `FolderLock.take`
 * @throws StoreError; LostFolderError
 */
export async function enter(
  options: Pick<LeaderOptions, 'folder' | 'durability'>,
  tables: WritableTables,
  isContinued: boolean,
  usurper?: string,
): Promise<FolderAccess> {
  const { folder } = options
  let room: Room | undefined
  let lock: FolderLock | undefined
  try {
    const beforeWrite = () => {
      room ??= new Room(folder, tables)
      if (!room.fits(NO_WORK, 'session')) requireRoom(folder) // only the owner may extend the data file
    }
    const access = await FolderLock.take(folder, tables, beforeWrite, usurper)
    if (!(access instanceof FolderLock)) {
      await room?.close()
      return access
    }
    lock = access
    const owned = { lock, room: room! }
    await prepareFolder(options, tables, owned, isContinued)
    return owned
  } catch (err) {
    await room?.close()
    await lock?.release()
    throw err
  }
}

export class Member implements Role {
  readonly #tables: WritableTables
  readonly #state: State
  readonly #options: MemberOptions
  #leader: Leader | undefined
  #replica: Replica | undefined
  /** The newest connection to a leader. It may not be ready yet, or may have ended. */
  #joining: OwnerSocket | undefined
  /** The name of the lock of the process that `#joining` leads to. */
  #owner: string | undefined
  /** Whether the last check has found that another process owns the folder. */
  #suspectsLeader = false
  /** The owner that has taken the folder from the leader, which lives on. */
  #usurper: string | undefined
  /** The search for a new leader. */
  #search: Promise<void> | undefined
  /** Why the last attempt to find the leader has failed. */
  #searchError: Error | undefined
  /** The writes that were sent to another process, by their numbers. */
  readonly #pending = new Map<number, PendingWrite>()
  #lastNumber = 0
  readonly #checks: NodeJS.Timeout
  /** When the last beat of the leader arrived, on the monotonic clock. */
  #lastBeatAt = monotonicNow()
  /** Why the leader cannot store events. */
  #leaderFailure: Error | undefined
  #failure: Error | undefined
  #isClosed = false

  constructor(tables: WritableTables, state: State, options: MemberOptions) {
    this.#tables = tables
    this.#state = state
    this.#options = options
    this.#checks = setInterval(() => {
      this.#check()
      this.#checkOwner()
    }, CHECK_INTERVAL).unref()
  }

  /**
   * Becomes the leader of an owned folder, or a replica of its owner.
   * @throws StoreError; LostLeaderError if the leader ends at once
   */
  async begin(access: FolderAccess): Promise<void> {
    if ('lock' in access) this.#lead(access)
    else await this.#join(access)
  }

  get failure(): Error | undefined {
    return this.#leader ? this.#leader.failure : this.#failure
  }

  get lost(): Error | undefined {
    // a leader of a shared folder steps down, and reads again as a replica
    if (this.#leader) return this.#options.isShared ? undefined : this.#leader.lost
    return this.#searchError instanceof LostFolderError ? this.#searchError : undefined
  }

  append(events: readonly NewEvent[], options: AppendOptions = {}): Promise<Appended[]> {
    if (this.#leader) return this.#leader.append(events, options)
    const { expected } = options
    return this.#write(expected ? { append: events, expected } : { append: events }).then((answer) =>
      fromAnswer(answer as number[]),
    )
  }

  async putRecord(key: string, value: unknown, options: PutOptions): Promise<void> {
    if (this.#leader) return this.#leader.putRecord(key, value, options)
    await this.#write({ put: [key, value, options.ttl] })
  }

  async swapRecord(key: string, expected: unknown, value: unknown): Promise<boolean> {
    if (this.#leader) return this.#leader.swapRecord(key, expected, value)
    return Boolean(await this.#write({ swap: key, expected, value }))
  }

  async deleteRecord(key: string): Promise<void> {
    if (this.#leader) return this.#leader.deleteRecord(key)
    await this.#write({ delete: key })
  }

  async purge(topic: string): Promise<number> {
    if (this.#leader) return this.#leader.purge(topic)
    return Number(await this.#write({ purge: topic }))
  }

  async catchUp(): Promise<void> {
    if (!this.#leader) await this.#write({ catchUp: true })
  }

  async settled(): Promise<void> {
    if (this.#leader) return this.#leader.settled()
    await delay(1)
  }

  whenApplied<T>(commits: number, read: () => T): Promise<{ result: T } | undefined> | undefined {
    return this.#leader ? this.#leader.whenApplied() : this.#replica?.whenApplied(commits, read)
  }

  async halt(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#checks)
    this.#joining?.destroy()
    this.#rejectAll()
    await this.#leader?.halt()
  }

  async close(): Promise<void> {
    const end = monotonicNow() + this.#options.leaderTimeout
    while (this.#pending.size > 0 && monotonicNow() < end) await delay(SEARCH_INTERVAL)
    this.#isClosed = true
    clearInterval(this.#checks)
    if (this.#replica) this.#replica.leave()
    else this.#joining?.destroy()
    await this.#search
    this.#rejectAll()
    this.#options.peers.close()
    await this.#leader?.close()
  }

  /** Releases the folder. Call it once the tables are closed. */
  async release(): Promise<void> {
    await this.#leader?.release()
  }

  #write(request: WriteRequest): Promise<WriteResult> {
    if (this.#isClosed) return Promise.reject(closed())
    const { lost } = this
    if (lost) return Promise.reject(notStored(lost))
    // a write that is not sent cannot be stored after its refusal, when a frozen leader wakes
    if (this.#isSilent()) return Promise.reject(notSent(this.#options.leaderTimeout))
    return new Promise((resolve, reject) => {
      const write = { number: ++this.#lastNumber, request, since: systemTime(), resolve, reject }
      this.#pending.set(write.number, write)
      this.#replica?.write({ kind: 'write', number: write.number, done: this.#done, request })
    })
  }

  /** The largest number up to which all writes of this process have been answered. */
  get #done(): number {
    for (const number of this.#pending.keys()) return number - 1 // the oldest
    return this.#lastNumber
  }

  #lead(owned: OwnedFolder): void {
    const options = { ...this.#options, onTaken: () => this.#stepDown() }
    const leader = new Leader(this.#tables, this.#state, owned, options)
    this.#leader = leader
    this.#searchError = undefined
    this.#options.onRole('leader')
    this.#setFailure(leader.failure)
    const done = this.#done
    for (const { number, request, since, resolve, reject } of this.#pending.values())
      leader.repeat(this.#options.peers.node, { kind: 'write', number, done, since, request }).then(resolve, reject)
    this.#pending.clear()
  }

  /** Becomes a replica of the process that has taken the folder from this leader. */
  #stepDown(): void {
    const leader = this.#leader
    if (!leader || !this.#options.isShared || this.#isClosed) return
    this.#leader = undefined
    this.#failure = leader.failure // the leader has reported it
    this.#leaderFailure = undefined
    this.#lastBeatAt = monotonicNow()
    this.#usurper = ownerOf(this.#tables)
    this.#search ??= leader.stepDown().then(() => this.#findLeader())
  }

  async #join({ socket, owner }: OwnerConnection): Promise<void> {
    const { peers, reload, catchUp } = this.#options
    if (this.#isClosed) socket.destroy()
    this.#joining = socket
    this.#owner = owner
    const replica = await Replica.join(socket, this.#state, {
      node: peers.node,
      reload,
      catchUp,
      onChange: (change) => this.#apply(change),
      onWritten: (number, result) => this.#take(number)?.resolve(result),
      onRefused: (number, refusal) => this.#take(number)?.reject(toError(refusal)),
      onBeat: (failure) => {
        this.#lastBeatAt = monotonicNow()
        this.#leaderFailure = failure === undefined ? undefined : new Error(failure)
        this.#check()
      },
      onNodes: (nodes, left) => peers.setNodes(nodes, left),
      onPeer: (body, from) => peers.receive(body, from),
      onLost: () => {
        if (!this.#replica) return // `join` has not returned: it throws
        this.#replica = undefined
        peers.connect(undefined)
        if (!this.#isClosed) this.#search ??= this.#findLeader()
      },
    })
    if (replica.hasEnded) throw new LostLeaderError('the connection to the leader has ended')
    this.#replica = replica
    this.#usurper = undefined
    this.#searchError = undefined
    this.#lastBeatAt = monotonicNow()
    this.#options.onRole('replica')
    peers.connect(replica, replica.leader)
    const done = this.#done
    for (const { number, request, since } of this.#pending.values())
      replica.write({ kind: 'write', number, done, since, request })
  }

  /** Applies a change of the leader to the state of this process. */
  #apply(change: ReplicatedChange): void {
    const trims = this.#state.apply(toUpdate(this.#state, change))
    if (change.records) this.#state.finite.changed(change.records)
    const delta: LogDelta = { events: change.events, trims, records: change.records ?? [] }
    if (delta.events.length + trims.length + delta.records.length > 0) this.#options.onDelta(delta)
  }

  /** Finds the new leader, or becomes it. */
  async #findLeader(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const access = await enter(this.#options, this.#tables, true, this.#usurper)
        await ('lock' in access ? this.#succeed(access) : this.#join(access))
        break
      } catch (err) {
        if (!(err instanceof LostLeaderError)) this.#setFailure((this.#searchError = err as Error))
        await delay(SEARCH_INTERVAL)
      }
    }
    this.#search = undefined
    if (!this.#leader && !this.#replica && !this.#isClosed) this.#search = this.#findLeader() // lost again meanwhile
  }

  /** Becomes the leader after another one. */
  async #succeed(owned: OwnedFolder): Promise<void> {
    try {
      do {
        this.#options.reload()
      } while (!(await this.#options.catchUp()))
      this.#lead(owned)
    } catch (err) {
      await owned.room.close()
      await owned.lock.release()
      throw err
    }
  }

  #take(number: number): PendingWrite | undefined {
    const write = this.#pending.get(number)
    this.#pending.delete(number)
    return write
  }

  /** Whether the leader has been silent for so long that no write waits for it. */
  #isSilent(): boolean {
    return !this.#leader && monotonicNow() - this.#lastBeatAt > this.#options.leaderTimeout
  }

  /** Rejects writes that have waited too long or wait for a silent leader, and reports that leader as a failure. */
  #check(): void {
    if (this.#leader) return
    const { leaderTimeout } = this.#options
    const isSilent = this.#isSilent()
    this.#setFailure(this.#searchError ?? (isSilent ? silent(leaderTimeout) : this.#leaderFailure))
    if (isSilent) this.#replica?.reloadForReads()
    const now = systemTime()
    for (const { number, since, request, reject } of this.#pending.values()) {
      if (!isSilent && now - since < Math.min(leaderTimeout, RETRY_TIME)) break // the others are newer
      this.#pending.delete(number)
      reject(mayBeStored(`The process that writes the log has not answered for ${leaderTimeout / 1_000} s.`, request))
    }
  }

  /**
   * Leaves a leader that has lost the folder to another process, since a frozen one does not know it. Checks twice: a
   * dead leader has lost the folder too, and its connection ends by itself.
   */
  #checkOwner(): void {
    if (!this.#joining || this.#joining.isClosed) return
    const owner = ownerOf(this.#tables)
    const isOutdated = owner !== this.#owner
    if (isOutdated && this.#suspectsLeader) {
      this.#usurper = owner
      this.#joining.destroy()
    }
    this.#suspectsLeader = isOutdated
  }

  #setFailure(failure: Error | undefined): void {
    const hasChanged = (failure === undefined) !== (this.#failure === undefined)
    this.#failure = failure
    if (hasChanged) this.#options.onHealth(failure)
  }

  /** Rejects the writes that wait for the leader, because this process closes the log. */
  #rejectAll(): void {
    for (const { request, reject } of this.#pending.values())
      reject(mayBeStored('This process stops, and the process that writes the log has not answered yet.', request))
    this.#pending.clear()
  }
}

function toError({ code, message, index }: Refusal): HubError {
  const err = new HubError(code, message)
  err.index = index
  return err
}

function closed(): HubError {
  return new HubError('log-unavailable', 'The log is closed.')
}

function silent(timeout: number): Error {
  return new Error(`the process that writes the log has been silent for ${timeout / 1_000} s`)
}

function notSent(timeout: number): HubError {
  return new HubError(
    'log-unavailable',
    `The process that writes the log has been silent for more than ${timeout / 1_000} s. Nothing was stored: try again.`,
  )
}
