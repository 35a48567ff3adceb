/**
 * The leader of a folder: the process that holds its lock. It writes all transactions, also those that the replicas ask
 * for, and sends each durable transaction to the replicas.
 */
import type { NewEvent } from '../../model/event.js'
import type { Durability } from '../durability.js'
import type { Appended, AppendOptions, LogDelta, PutOptions, Retention } from '../log.js'
import type { TimeSource } from '../steady-clock.js'
import type { TransactionFigures } from '../transaction-figures.js'
import { Answers } from './answers.js'
import { openClock } from './file-clock.js'
import { LARGEST_EVENT } from './largest-event.js'
import type { FolderLock } from './lock.js'
import { NO_WORK } from './pages.js'
import type { Peers } from './peers.js'
import { RecordWriter } from './record-writer.js'
import type { WriteResult } from './messages.js'
import { ReplicaWrites, type Write } from './replica-writes.js'
import { Replicas } from './replicas.js'
import type { Role } from './role.js'
import type { Room } from './room.js'
import { beginSession, endSession } from './session.js'
import type { State } from './state.js'
import { StoreError } from './store-error.js'
import type { WritableTables } from './tables.js'
import { Trimmer } from './trimmer.js'
import { Writer } from './writer.js'

/**
 * The interval of trims by age, of removals of expired records, and of retries after a disk failure; in milliseconds.
 */
const TICK = 500

export interface LeaderOptions {
  folder: string
  durability: Durability
  retention: Retention
  source: TimeSource
  peers: Peers
  /** Is given each transaction. */
  transactions: TransactionFigures
  onHealth: (failure: Error | undefined) => void
  /** Called when another process has taken the folder, at most every `TICK`. */
  onTaken: () => void
  /** Called with the changes of each transaction, in order, once it is durable and part of the state. */
  onDelta: (delta: LogDelta) => void
}

/** A folder whose lock this process holds. */
export interface OwnedFolder {
  lock: FolderLock
  room: Room
}

/**
 * Prepares the folder for its leader.
 * @param isContinued whether this process was a replica before
 * @throws StoreError if the disk has no room, or the store cannot be written
 */
export async function prepareFolder(
  { folder, durability }: Pick<LeaderOptions, 'folder' | 'durability'>,
  tables: WritableTables,
  { lock, room }: OwnedFolder,
  isContinued: boolean,
): Promise<void> {
  room.look()
  if (!(await room.make(NO_WORK, 'session')))
    throw new StoreError(`The log in ${folder} cannot be opened. ${room.failure.message}`)
  lock.check()
  beginSession(folder, tables, durability, isContinued)
  await room.make(LARGEST_EVENT, 'publish') // on a full disk the log opens, and refuses events
}

export class Leader implements Role {
  readonly #tables: WritableTables
  readonly #owned: OwnedFolder
  readonly #writer: Writer
  readonly #records: RecordWriter
  readonly #replicas: Replicas
  readonly #writes: ReplicaWrites
  readonly #timer: NodeJS.Timeout

  /** @param state the state of the tables now */
  constructor(tables: WritableTables, state: State, owned: OwnedFolder, options: LeaderOptions) {
    const { durability, retention, source, peers, transactions, onHealth, onTaken, onDelta } = options
    this.#tables = tables
    this.#owned = owned
    const answers = new Answers(tables)
    const clock = openClock(tables, source)
    const trimmer = new Trimmer(tables, state, retention, clock)
    const writer = (this.#writer = new Writer(tables, state, trimmer, {
      durability,
      retention,
      clock,
      transactions,
      onHealth,
      ...owned,
      answers,
      onCommit: (replicate) => this.#replicas.send(replicate),
      onDelta,
    }))
    const records = (this.#records = new RecordWriter(tables, writer, source.now))
    const writes = (this.#writes = new ReplicaWrites({ writer, records, answers }))
    this.#replicas = new Replicas({ state, writer, writes, answers, peers, lock: owned.lock })
    this.#timer = setInterval(() => {
      writer.tick()
      this.#records.expire()
      this.#replicas.tick()
      if (owned.lock.taken()) onTaken()
    }, TICK).unref()
    owned.lock.accept(
      (socket) => this.#replicas.accept(socket),
      () => this.#replicas.pids,
    )
  }

  /** As `Role.lost`. */
  get lost(): Error | undefined {
    return this.#owned.lock.taken()
  }

  /** Performs a write that was sent to an earlier leader, which may have stored it. */
  repeat(node: string, write: Write): Promise<WriteResult> {
    return this.#writes.perform(node, write)
  }

  get failure(): Error | undefined {
    return this.#writer.failure
  }

  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]> {
    return this.#writer.append(events, options)
  }

  putRecord(key: string, value: unknown, options: PutOptions): Promise<void> {
    return this.#records.put(key, value, options)
  }

  swapRecord(key: string, expected: unknown, value: unknown): Promise<boolean> {
    return this.#records.swap(key, expected, value)
  }

  deleteRecord(key: string): Promise<void> {
    return this.#records.delete(key)
  }

  purge(topic: string): Promise<number> {
    return this.#writer.purge(topic)
  }

  /** The leader's own followers get each transaction in the turn in which it is sent to the replicas. */
  async catchUp(): Promise<void> {}

  settled(): Promise<void> {
    return this.#writer.settled()
  }

  /** A transaction may fail after LMDB has shown it to readers, so the state may never match the snapshot. */
  whenApplied(): undefined {
    return undefined
  }

  halt(): Promise<void> {
    return this.#writer.halt()
  }

  async close(): Promise<void> {
    const { lock, room } = this.#owned
    clearInterval(this.#timer)
    this.#replicas.stop()
    await this.#writer.close()
    this.#replicas.close()
    if (room.fits(NO_WORK, 'session') && lock.isOwner()) endSession(this.#tables)
  }

  /** Ends the role once another process has taken the folder. The tables stay open. */
  async stepDown(): Promise<void> {
    const { lock, room } = this.#owned
    clearInterval(this.#timer)
    this.#replicas.disconnect()
    await this.#writer.close()
    await room.close()
    await lock.release()
  }

  /** Releases the folder. Call it once the tables are closed. */
  async release(): Promise<void> {
    const { lock, room } = this.#owned
    await room.sync()
    await room.close()
    await lock.release()
  }
}
