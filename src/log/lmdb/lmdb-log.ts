/** A log in a folder: LMDB tables with group commit. Readers never wait for the writer. */
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import type { Transaction } from 'lmdb'
import type { NewEvent, ScannedEvent, StoredEvent } from '../../model/event.js'
import { monotonicNow } from '../../model/clock.js'
import type { Selection } from '../../model/selection.js'
import type { Durability } from '../durability.js'
import { Followers } from '../followers.js'
import {
  NO_EVENTS,
  NO_RECORDS,
  NO_TRIMS,
  type Appended,
  type AppendOptions,
  type ApplyDelta,
  type Beginning,
  type EventLog,
  type Following,
  type Located,
  type LogDelta,
  type Page,
  type ReadOptions,
  type Retention,
  type ScanResult,
  type Span,
  type TopicStats,
  type TopicsOptions,
  type TopicsPage,
  type Trim,
} from '../log.js'
import { timeFrom } from '../steady-clock.js'
import { TransactionFigures } from '../transaction-figures.js'
import { EventTimes } from './event-times.js'
import { FileRecords } from './file-records.js'
import { FileView } from './file-view.js'
import { helloOf, inUse, requireUniqueProcessId } from './lock.js'
import { enter, Member, type FolderAccess, type FolderRole } from './member.js'
import { Peers } from './peers.js'
import { Reader } from './reader.js'
import { LostLeaderError } from './replica.js'
import { Snapshots } from './snapshots.js'
import { State } from './state.js'
import { openStore } from './store.js'
import { asStoreError } from './store-error.js'
import { checkFolder, requireUnopened } from './store-folder.js'
import type { WritableTables } from './tables.js'

/** The number of events in one delta while the followers catch up. */
const CATCH_UP_STEP = 500
/**
 * How long the followers catch up on one snapshot, in milliseconds. The leader reuses no page that was freed after a
 * snapshot that is still read.
 */
const SNAPSHOT_TIME = 1_000
/** How long a process waits for the leader, by default; in milliseconds. */
const LEADER_TIMEOUT = 5_000

export interface FileLogOptions {
  /** The folder; created if it does not exist. */
  folder: string
  durability: Durability
  retention: Retention
  /** Whether other processes may use the folder too; default: `false`, then the folder must be free. */
  shared?: boolean
  /** Whether this process may open the folder again, against the reasons of `requireUnopened`; for tests. */
  sameProcess?: boolean
  /** How long a write waits for the leader of a shared folder, in milliseconds; default: 5,000. */
  leaderTimeout?: number
  /** The wall clock, in milliseconds; for tests. */
  now?: () => number
  /** The monotonic clock, in milliseconds; for tests. */
  elapsed?: () => number
  /** Called when this process becomes the leader of a shared folder, or joins another one. */
  onRole?: (role: FolderRole) => void
  /** Called with the reason when the log can no longer store events, and with `undefined` when it can again. */
  onHealth?: (failure: Error | undefined) => void
  /** Called with the name of each damaged part, once. Subscribers get a gap notice there. */
  onDamage?: (what: string) => void
}

export class FileLog implements EventLog {
  readonly view: FileView
  readonly records: FileRecords
  readonly transactions = new TransactionFigures()
  /** Messages to the other processes of the folder. */
  readonly peers: Peers
  readonly #tables: WritableTables
  readonly #state: State
  readonly #reader: Reader
  readonly #member: Member
  readonly #snapshots: Snapshots
  readonly #times: EventTimes
  readonly #followers = new Followers()
  /** The trims that the followers have missed. */
  #missedTrims: readonly Trim[] = NO_TRIMS
  /** Whether the followers have missed changes of records. */
  #hasMissedRecords = false
  /** The snapshot that the state was reloaded from, until the followers have caught up. */
  #reloaded: Transaction | undefined
  #catchingUp: Promise<boolean> | undefined
  #closing: Promise<void> | undefined

  /**
   * Opens the log in a folder.
   * @throws StoreError if another process uses the folder and it is not shared, or the log is damaged, of another
   *   format, or not writable
   */
  static async open(options: FileLogOptions): Promise<FileLog> {
    const { folder, durability, shared = false, sameProcess = false } = options
    if (!sameProcess) requireUnopened(folder)
    if (checkFolder(folder)) await requireUniqueProcessId(folder, !shared || sameProcess)
    if (!sameProcess) requireUnopened(folder) // it may have been opened meanwhile
    const tables = openStore(folder, durability)
    tables.damage.listener = options.onDamage ?? (() => undefined)
    try {
      for (;;) {
        const access = await enter(options, tables, false)
        if (!('lock' in access) && !shared) throw inUse(folder, (await helloOf(access.socket))?.pid)
        const log = await FileLog.#begin(tables, access, options)
        if (log) return log
      }
    } catch (err) {
      await tables.close()
      throw asStoreError(folder, err)
    }
  }

  /** @returns `undefined` if the leader has ended: the caller tries again */
  static async #begin(
    tables: WritableTables,
    access: FolderAccess,
    options: FileLogOptions,
  ): Promise<FileLog | undefined> {
    let log: FileLog | undefined
    try {
      log = new FileLog(tables, options)
      const { leaderTimeout = LEADER_TIMEOUT } = options
      const hasBegun = await Promise.race([
        log.#member.begin(access).then(() => true),
        delay(leaderTimeout, false, { ref: false }),
      ])
      if (!hasBegun) throw inUse(options.folder, undefined) // the leader was frozen meanwhile
      log.view.readEpoch()
      return log
    } catch (err) {
      if (log) await log.#member.close()
      if ('lock' in access) {
        await access.room.close()
        await access.lock.release()
      }
      if (err instanceof LostLeaderError) return undefined
      throw err
    }
  }

  private constructor(tables: WritableTables, options: FileLogOptions) {
    const { folder, durability, retention, shared = false, now, elapsed, leaderTimeout = LEADER_TIMEOUT } = options
    this.#tables = tables
    const role = () => this.#member
    const state = (this.#state = new State(tables))
    this.#reader = new Reader(tables, state)
    const source = timeFrom(now, elapsed)
    const snapshots = (this.#snapshots = new Snapshots(tables, state, role))
    this.#times = new EventTimes(this.#reader, snapshots, state)
    this.view = new FileView(tables, state, role)
    const isCurrent = (transaction: Transaction) => state.hasRecordsOf(tables, transaction)
    this.records = new FileRecords(
      tables,
      role,
      { look: (read) => snapshots.look(read, isCurrent), run: (begin) => snapshots.run(begin, isCurrent) },
      source.now,
    )
    this.peers = new Peers()
    this.#member = new Member(tables, state, {
      folder,
      durability,
      retention,
      source,
      leaderTimeout,
      isShared: shared,
      peers: this.peers,
      transactions: this.transactions,
      onHealth: options.onHealth ?? (() => undefined),
      onRole: options.onRole ?? (() => undefined),
      onDelta: (delta) => this.#tell(delta),
      reload: () => this.#reload(),
      catchUp: () => this.#catchUp(),
    })
  }

  #tell(delta: LogDelta): void {
    const { events, records } = delta
    const newest = events.at(-1)
    if (newest) this.view.toldHead = newest.sequence
    this.#times.note(events)
    this.#followers.tell(delta)
    this.records.changed(records)
  }

  /** Reads the state from the tables, which another process has changed. Keeps the snapshot for `#catchUp`. */
  #reload(): void {
    const { root } = this.#tables
    this.#releaseSnapshot()
    root.resetReadTxn() // an earlier read of this turn may have left an older snapshot
    this.#reloaded = root.useReadTransaction()
    const { recordChanges } = this.#state
    this.#missedTrims = [...this.#missedTrims, ...this.#state.reload(this.#tables)]
    if (recordChanges !== this.#state.recordChanges) this.#hasMissedRecords = true
  }

  #releaseSnapshot(): void {
    this.#reloaded?.done()
    this.#reloaded = undefined
  }

  /**
   * Gives the followers the changes before the last `#reload`.
   * @returns `false`: this takes too long on one snapshot. Reload the state, and catch up again
   */
  #catchUp(): Promise<boolean> {
    const transaction = this.#reloaded
    return (this.#catchingUp = this.#catchUpOn(transaction).finally(() => {
      if (this.#reloaded === transaction) this.#releaseSnapshot()
    }))
  }

  /**
   * The trims come first: events that were trimmed before the reload are never delivered, which the followers have to
   * know before they get later events. Events that are trimmed after it are delivered, since the snapshot has them.
   */
  async #catchUpOn(transaction: Transaction | undefined): Promise<boolean> {
    const trims = this.#missedTrims
    this.#missedTrims = NO_TRIMS
    const end = monotonicNow() + SNAPSHOT_TIME
    if (trims.length > 0) this.#tell({ events: NO_EVENTS, trims, records: NO_RECORDS })
    const { head } = this.#state.totals
    for (let after = this.view.toldHead; after < head;) {
      const until = Math.min(head, after + CATCH_UP_STEP)
      const events: StoredEvent[] = []
      for (let sequence = after + 1; sequence <= until; sequence++) {
        const event = this.#tables.events.get(sequence, transaction)
        if (event) events.push(event) // the others are trimmed
      }
      if (events.length > 0) this.#tell({ events, trims: NO_TRIMS, records: NO_RECORDS })
      this.view.toldHead = after = until
      if (after === head) break
      await setImmediate()
      // the leader was lost meanwhile: `#reload` has released the snapshot, and the next catch-up continues
      if (this.#closing || this.#reloaded !== transaction) throw new LostLeaderError('the catch-up was abandoned')
      if (monotonicNow() > end) return false
    }
    if (this.#hasMissedRecords) void this.#tellRecords()
    this.#hasMissedRecords = false
    return true
  }

  /** Gives the followers all records, since only the number of changes is known. */
  async #tellRecords(): Promise<void> {
    await this.records.readAll((records) => this.#followers.tell({ events: NO_EVENTS, trims: NO_TRIMS, records }))
    await this.records.resync()
  }

  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]> {
    return this.#member.append(events, options)
  }

  async follow(apply: ApplyDelta): Promise<Following> {
    return this.#followers.add(apply, this.view)
  }

  scan(selection: Selection, span: Span, visit: (event: ScannedEvent) => boolean): Promise<ScanResult> {
    return this.#snapshots.run((snapshot) => this.#reader.scan(snapshot, selection, span, visit))
  }

  async locate(selection: Selection, beginning: Beginning): Promise<Located> {
    const { mark } = this.view
    const after =
      'newest' in beginning
        ? await this.#snapshots.run((snapshot) =>
            this.#reader.before(snapshot, selection, beginning.newest, beginning.until),
          )
        : await this.#times.locate(this, selection, beginning.from)
    return { after, mark }
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#snapshots.run((snapshot) => this.#reader.newest(snapshot, selection, options))
  }

  topic(name: string): Promise<TopicStats | undefined> {
    return this.#snapshots.look((snapshot) => this.#reader.topic(snapshot, name))
  }

  topics(options: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    return this.#snapshots.run((snapshot) => this.#reader.topics(snapshot, options, accepts))
  }

  purge(topic: string): Promise<number> {
    return this.#member.purge(topic)
  }

  catchUp(): Promise<void> {
    return this.#member.catchUp()
  }

  halt(): Promise<void> {
    return this.#member.halt()
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    await this.#member.close()
    await this.#catchingUp?.catch(() => undefined)
    this.#releaseSnapshot()
    this.#followers.clear()
    await this.#tables.close()
    await this.#member.release()
  }
}
