/** A log in a folder: LMDB tables, written by group commit, read without ever waiting for a writer. */
import type { Transaction } from 'lmdb'
import type { NewEvent, ScannedEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { advance, type Work } from '../../event-loop/time-slice.js'
import { FairScheduler } from '../../event-loop/fair-scheduler.js'
import { FileRecords } from './file-records.js'
import { FolderLock } from './lock.js'
import { Reader } from './reader.js'
import { State } from './state.js'
import { NO_WORK } from './pages.js'
import { Room } from './room.js'
import { beginSession, closeStore } from './session.js'
import { openStore, type Durability } from './store.js'
import { asStoreError, StoreError } from './store-error.js'
import { checkFolder, requireRoom } from './store-folder.js'
import type { Snapshot, Tables } from './tables.js'
import { Trimmer } from './trimmer.js'
import { LARGEST_EVENT, Writer } from './writer.js'
import type {
  Appended,
  ApplyDelta,
  Beginning,
  EventLog,
  Following,
  Located,
  LogStats,
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
import { SteadyClock, timeFrom, type ClockStep, type TimeSource } from '../steady-clock.js'
import { locateIn, TimeIndex } from '../time-index.js'
import { describeTopic, readProperties, writeProperties } from '../topic-properties.js'

/**
 * How often it is looked whether something is to be trimmed, or whether a disk that failed can be written again, in
 * milliseconds.
 */
const TICK = 500

export interface FileLogOptions {
  /** The folder; made when it is not there. */
  folder: string
  durability: Durability
  retention: Retention
  /** The wall clock, in milliseconds; for tests. */
  now?: () => number
  /** Time that passes, in milliseconds; for tests. */
  elapsed?: () => number
  /** Called when nothing can be stored any more, with the reason, and with `undefined` when it can again. */
  onHealth?: (failure: Error | undefined) => void
  /** Called with what is found damaged, once each; subscribers are told of a gap there. */
  onDamage?: (what: string) => void
}

export class FileLog implements EventLog {
  readonly view: LogView
  readonly records: FileRecords
  readonly #lock: FolderLock
  readonly #room: Room
  readonly #tables: Tables
  readonly #state: State
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #scheduler = new FairScheduler()
  readonly #times: TimeIndex
  /** The newest sequence when the log was opened. */
  readonly #openedAt: number
  #readingTimes: Promise<void> | undefined
  readonly #followers = new Followers()
  readonly #timer: NodeJS.Timeout
  #closing: Promise<void> | undefined

  /**
   * Opens the log in a folder.
   * @throws StoreError when another process uses it, or it is damaged, of a newer format, or cannot be written
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
        if (!room!.fits(NO_WORK, 'session')) requireRoom(folder) // only the owner may extend the file
      })
      room.look()
      if (!(await room.make(NO_WORK, 'session')))
        throw new StoreError(`The log in ${folder} cannot be opened. ${room.failure.message}`)
      beginSession(folder, tables, durability)
      await room.make(LARGEST_EVENT, 'publish') // a disk that is full keeps it from storing, not from starting
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
    const state = (this.#state = new State(tables))
    this.#reader = new Reader(tables, state)
    this.#openedAt = state.totals.head
    this.#times = new TimeIndex(() => this.#reader.oldest() ?? state.totals.head + 1, state.totals.head)
    const source = timeFrom(now, elapsed)
    const clock = openClock(tables, source)
    const trimmer = new Trimmer(tables, this.#state, retention, clock)
    this.#writer = new Writer(tables, this.#state, trimmer, {
      durability,
      retention,
      clock,
      onHealth,
      lock,
      room,
      onDelta: (delta) => {
        const [first] = delta.events
        if (first) this.#times.note(first.sequence, first.time, delta.events.at(-1)!.sequence)
        this.#followers.tell(delta)
        this.records.changed(delta.records)
      },
    })
    this.view = new FileView(tables.meta.get('epoch') as string, state, this.#writer)
    const isCurrent = (transaction: Transaction) => state.hasRecordsOf(tables, transaction)
    this.records = new FileRecords(
      tables,
      this.#writer,
      { look: (read) => this.#look(read, isCurrent), run: (begin) => this.#run(begin, isCurrent) },
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
    return this.#run((snapshot) => this.#reader.scan(snapshot, selection, span, visit))
  }

  async locate(selection: Selection, beginning: Beginning): Promise<Located> {
    const { mark } = this.view
    const after =
      'newest' in beginning
        ? await this.#run((snapshot) => this.#reader.before(snapshot, selection, beginning.newest, beginning.until))
        : await this.#locateTime(selection, beginning.from)
    return { after, mark }
  }

  async #locateTime(selection: Selection, time: number): Promise<number> {
    await (this.#readingTimes ??= this.#readTimes())
    const { after, until } = this.#times.find(time)
    // of what was trimmed before the log was opened no time is known: it counts as of the time of what follows
    const begin = after < this.#openedAt ? (this.#reader.newestUntil(after) ?? 0) : after
    return locateIn({ after: begin, until }, this, selection, time)
  }

  /**
   * Reads the times of the events that were there when the log was opened: once, when somebody first asks for a time.
   */
  async #readTimes(): Promise<void> {
    try {
      await this.#run((snapshot) =>
        this.#reader.times(snapshot, this.#openedAt, (sequence, time) => this.#times.fill(sequence, time)),
      )
    } catch (err) {
      this.#readingTimes = undefined
      throw err
    }
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#run((snapshot) => this.#reader.newest(snapshot, selection, options))
  }

  async topic(name: string): Promise<TopicDescription | undefined> {
    const stats = await this.#look((snapshot) => this.#reader.topic(snapshot, name))
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
    return this.#run((snapshot) => this.#reader.topics(snapshot, options, accepts))
  }

  purge(topic: string): Promise<number> {
    return this.#writer.purge(topic)
  }

  /** Does some work, in slices of the event loop's turns, each on a snapshot of its own. */
  async #run<T>(begin: (snapshot: Snapshot) => Work<T>, isCurrent?: (snapshot: Transaction) => boolean): Promise<T> {
    let work: Work<T> | undefined
    const snapshot: Partial<Snapshot> = {}
    for (;;) {
      const step = await this.#look((transaction) => {
        snapshot.transaction = transaction
        work ??= begin(snapshot as Snapshot)
        return advance(work)
      }, isCurrent)
      if (step.done) return step.value
      await this.#scheduler.next()
    }
  }

  /**
   * Reads a snapshot of the tables that is what the state says. What a transaction has changed can be read a moment
   * before it is known here that it is durable: what it has trimmed would then be missing without anybody being told.
   */
  async #look<T>(
    read: (snapshot: Transaction) => T,
    isCurrent = (snapshot: Transaction) => this.#state.isSnapshot(this.#tables, snapshot),
  ): Promise<T> {
    for (;;) {
      const snapshot = this.#tables.root.useReadTransaction()
      try {
        if (isCurrent(snapshot)) return read(snapshot)
      } finally {
        snapshot.done()
      }
      await this.#writer.settled()
      await this.#scheduler.next() // all who have waited for it would read in one turn of the event loop
    }
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

class FileView implements LogView {
  readonly epoch: string
  readonly #state: State
  readonly #writer: Writer

  constructor(epoch: string, state: State, writer: Writer) {
    this.epoch = epoch
    this.#state = state
    this.#writer = writer
  }

  get head(): number {
    return this.#state.totals.head
  }

  get mark(): number {
    return this.#state.trims
  }

  get failure(): Error | undefined {
    return this.#writer.failure
  }

  stats(): LogStats {
    const { events, bytes } = this.#state.totals
    return { topics: this.#state.topics.size, events, bytes }
  }
}

/** The clock of a log goes on where it stopped. */
function openClock({ meta, events }: Tables, source: TimeSource): SteadyClock {
  const [newest] = events.keys({ reverse: true, limit: 1 })
  const event = newest === undefined ? undefined : events.view(newest)
  return new SteadyClock(
    source,
    meta.get('clock') as ClockStep[] | undefined,
    event && { sequence: event.sequence, time: event.time },
  )
}
