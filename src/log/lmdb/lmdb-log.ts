/** A log in a folder: LMDB tables with group commit. Readers never wait for the writer. */
import type { Transaction } from 'lmdb'
import type { NewEvent, ScannedEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { EventTimes } from './event-times.js'
import { openClock } from './file-clock.js'
import { FileRecords } from './file-records.js'
import { FileView } from './file-view.js'
import { LARGEST_EVENT } from './largest-event.js'
import { FolderLock } from './lock.js'
import { Reader } from './reader.js'
import { State } from './state.js'
import { NO_WORK } from './pages.js'
import { Room } from './room.js'
import { beginSession, closeStore } from './session.js'
import { Snapshots } from './snapshots.js'
import { openStore } from './store.js'
import type { Durability } from '../durability.js'
import { asStoreError, StoreError } from './store-error.js'
import { checkFolder, requireRoom } from './store-folder.js'
import type { Tables } from './tables.js'
import { Trimmer } from './trimmer.js'
import { Writer } from './writer.js'
import type {
  Appended,
  ApplyDelta,
  Beginning,
  EventLog,
  Following,
  Located,
  LogView,
  Page,
  ReadOptions,
  Retention,
  ScanResult,
  Span,
  TopicDescription,
  TopicProperties,
  TopicsOptions,
  TopicsPage,
} from '../log.js'
import { Followers } from '../followers.js'
import { timeFrom } from '../steady-clock.js'
import { describeTopic, readProperties, writeProperties } from '../topic-properties.js'

/**
 * The time between two trims by age, removals of expired records, or attempts after a disk failure; in milliseconds.
 */
const TICK = 500

export interface FileLogOptions {
  /** The folder; created if it does not exist. */
  folder: string
  durability: Durability
  retention: Retention
  /** The wall clock, in milliseconds; for tests. */
  now?: () => number
  /** The monotonic clock, in milliseconds; for tests. */
  elapsed?: () => number
  /** Called with the reason when the log can no longer store events, and with `undefined` when it can again. */
  onHealth?: (failure: Error | undefined) => void
  /** Called with the name of each damaged part, once. Subscribers get a gap notice there. */
  onDamage?: (what: string) => void
}

export class FileLog implements EventLog {
  readonly view: LogView
  readonly records: FileRecords
  readonly #lock: FolderLock
  readonly #room: Room
  readonly #tables: Tables
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #snapshots: Snapshots
  readonly #times: EventTimes
  readonly #followers = new Followers()
  readonly #timer: NodeJS.Timeout
  #closing: Promise<void> | undefined

  /**
   * Opens the log in a folder.
   * @throws StoreError if another process uses the folder, or the log is damaged, of another format, or not writable
   */
  static async open(options: FileLogOptions): Promise<FileLog> {
    const { folder, durability } = options
    checkFolder(folder)
    const tables = openStore(folder, { durability })
    tables.damage.listener = options.onDamage ?? (() => undefined)
    let room: Room | undefined
    let lock: FolderLock | undefined
    try {
      room = new Room(folder, tables)
      lock = await FolderLock.take(folder, tables, () => {
        if (!room!.fits(NO_WORK, 'session')) requireRoom(folder) // only the owner may extend the data file
      })
      room.look()
      if (!(await room.make(NO_WORK, 'session')))
        throw new StoreError(`The log in ${folder} cannot be opened. ${room.failure.message}`)
      beginSession(folder, tables, durability)
      await room.make(LARGEST_EVENT, 'publish') // on a full disk the log opens, and refuses events
      return new FileLog(lock, room, tables, options)
    } catch (err) {
      await room?.close()
      await tables.root.close()
      await lock?.release()
      throw asStoreError(folder, err)
    }
  }

  private constructor(
    lock: FolderLock,
    room: Room,
    tables: Tables,
    { durability, retention, now, elapsed, onHealth = () => undefined }: FileLogOptions,
  ) {
    this.#lock = lock
    this.#room = room
    this.#tables = tables
    const state = new State(tables)
    this.#reader = new Reader(tables, state)
    const source = timeFrom(now, elapsed)
    const clock = openClock(tables, source)
    const trimmer = new Trimmer(tables, state, retention, clock)
    this.#writer = new Writer(tables, state, trimmer, {
      durability,
      retention,
      clock,
      onHealth,
      lock,
      room,
      onDelta: (delta) => {
        this.#times.note(delta.events)
        this.#followers.tell(delta)
        this.records.changed(delta.records)
      },
    })
    const snapshots = (this.#snapshots = new Snapshots(tables, state, this.#writer))
    this.#times = new EventTimes(this.#reader, snapshots, state)
    this.view = new FileView(tables.meta.get('epoch') as string, state, this.#writer)
    const isCurrent = (transaction: Transaction) => state.hasRecordsOf(tables, transaction)
    this.records = new FileRecords(
      tables,
      this.#writer,
      { look: (read) => snapshots.look(read, isCurrent), run: (begin) => snapshots.run(begin, isCurrent) },
      source.now,
    )
    this.#timer = setInterval(() => {
      this.#writer.tick()
      this.records.expire()
    }, TICK).unref()
  }

  append(events: readonly NewEvent[]): Promise<Appended[]> {
    return this.#writer.append(events)
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

  async topic(name: string): Promise<TopicDescription | undefined> {
    const stats = await this.#snapshots.look((snapshot) => this.#reader.topic(snapshot, name))
    return describeTopic(name, stats, await this.#propertiesOf(name))
  }

  setTopic(name: string, properties: TopicProperties | undefined): Promise<void> {
    return writeProperties(this.records, name, properties)
  }

  /** Reads the properties of a topic. Damaged ones count as missing. */
  async #propertiesOf(topic: string): Promise<TopicProperties | undefined> {
    try {
      return await readProperties(this.records, topic)
    } catch (err) {
      if (!(err instanceof StoreError)) throw err
      this.#tables.damage.report(`the properties of the topic ${topic}`)
      return undefined
    }
  }

  topics(options: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    return this.#snapshots.run((snapshot) => this.#reader.topics(snapshot, options, accepts))
  }

  purge(topic: string): Promise<number> {
    return this.#writer.purge(topic)
  }

  halt(): Promise<void> {
    return this.#writer.halt()
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writer.close()
    this.#followers.clear()
    await closeStore(this.#tables, this.#room.fits(NO_WORK, 'session') && this.#lock.isOwner())
    await this.#room.sync()
    await this.#room.close()
    await this.#lock.release()
  }
}
