/** A log in a folder: LMDB tables, written by group commit, read without ever waiting for a writer. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Transaction } from 'lmdb'
import type { NewEvent } from '../hub/event.js'
import type { Selection } from '../hub/selection.js'
import { Turns } from '../hub/turns.js'
import { FolderLock } from './file/lock.js'
import { Reader } from './file/reader.js'
import { State } from './file/state.js'
import { asStoreError, beginSession, checkFolder, closeStore, openStore, type Durability, type Tables } from './file/store.js'
import { Trimmer } from './file/trimmer.js'
import { Writer } from './file/writer.js'
import type { Appended, EventLog, FollowListener, LogStats, NewestWanted, Page, ReadOptions, Records, Retention, Shown, ShownEvent, Span, TopicsOptions, TopicsPage, TopicStats } from './log.js'

/** How often it is looked whether something is to be trimmed, or whether a disk that failed can be written again, in milliseconds. */
const TICK = 500

export interface FileLogOptions {
  /** The folder; made when it is not there. */
  folder: string
  durability: Durability
  retention: Retention
  /** The clock, in milliseconds; for tests. */
  now?: () => number
  /** Called when nothing can be stored any more, with the reason, and with `undefined` when it can again. */
  onHealth?: (failure: Error | undefined) => void
}

export class FileLog implements EventLog {
  readonly epoch: string
  readonly records: Records
  readonly #folder: string
  readonly #lock: FolderLock
  readonly #tables: Tables
  readonly #state: State
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #turns = new Turns()
  readonly #followers = new Set<FollowListener>()
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
    let lock: FolderLock | undefined
    try {
      lock = await FolderLock.take(folder, tables)
      beginSession(folder, tables, durability)
      return new FileLog(lock, tables, options)
    } catch (err) {
      await tables.root.close()
      await lock?.release()
      throw asStoreError(folder, err)
    }
  }

  private constructor(lock: FolderLock, tables: Tables, { folder, durability, retention, now = Date.now, onHealth = () => undefined }: FileLogOptions) {
    this.#folder = folder
    this.#lock = lock
    this.#tables = tables
    this.epoch = tables.meta.get('epoch') as string
    this.#state = new State(tables)
    this.#reader = new Reader(tables, this.#state)
    const trimmer = new Trimmer(tables, this.#state, retention, now)
    this.#writer = new Writer(tables, this.#state, trimmer, {
      durability,
      retention,
      now,
      onHealth,
      onStored: (events) => {
        for (const follower of this.#followers) follower(events)
      },
    })
    this.records = new FileRecords(tables.records, this.#writer)
    this.#timer = setInterval(() => this.#writer.tick(), TICK).unref()
  }

  get head(): number {
    return this.#state.totals.head
  }

  get trims(): number {
    return this.#state.trims
  }

  get failure(): Error | undefined {
    return this.#writer.failure
  }

  append(events: readonly NewEvent[]): Promise<Appended[]> {
    return this.#writer.append(events)
  }

  follow(listener: FollowListener): () => void {
    this.#followers.add(listener)
    return () => void this.#followers.delete(listener)
  }

  read(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#look((snapshot) => this.#reader.read(snapshot, selection, options))
  }

  show(selection: Selection, span: Span, see: (event: ShownEvent) => boolean): Promise<Shown> {
    return this.#look((snapshot) => this.#reader.show(snapshot, selection, span, see))
  }

  before(selection: Selection, count: number, newestWanted?: NewestWanted): Promise<number> {
    return this.#look((snapshot) => this.#reader.before(snapshot, selection, count, newestWanted))
  }

  async newest(selection: Selection, { until = this.head, ...options }: ReadOptions): Promise<Page> {
    const end = Math.min(until, this.head)
    const search = this.#reader.newest(selection, { ...options, until: end })
    for (;;) {
      const page = await this.#look((snapshot): Page | undefined => {
        search.step(snapshot)
        if (!search.isDone) return undefined
        const { events, more } = search.read(snapshot)
        const position = more ? (events.at(-1)?.sequence ?? options.after) : Math.max(options.after, end)
        return { events, position, more, gap: this.#reader.hasTrimmed(selection, options.after) }
      })
      if (page) return page
      await nextTurn()
    }
  }

  topic(name: string): Promise<TopicStats | undefined> {
    return this.#look((snapshot) => this.#reader.topic(snapshot, name))
  }

  async topics({ limit, ...options }: TopicsOptions, accepts: (name: string) => boolean = () => true): Promise<TopicsPage> {
    const found: TopicStats[] = []
    let after: string | undefined = options.after
    for (;;) {
      const part = await this.#look((snapshot) => this.#reader.topics(snapshot, { ...options, after, limit: limit - found.length }, accepts))
      found.push(...part.topics)
      after = part.seen
      if (after === undefined) return { topics: found.slice(0, limit), more: found.length > limit }
      await nextTurn()
    }
  }

  purge(topic: string): Promise<number> {
    return this.#writer.purge(topic)
  }

  /**
   * Reads a snapshot of the tables that is what the state says. What a transaction has changed can be read a moment before
   * it is known here that it is durable: what it has trimmed would then be missing without anybody being told.
   */
  async #look<T>(read: (snapshot: Transaction) => T): Promise<T> {
    for (;;) {
      const snapshot = this.#tables.root.useReadTransaction()
      try {
        if (this.#state.isSnapshot(this.#tables, snapshot)) return read(snapshot)
      } finally {
        snapshot.done()
      }
      await this.#writer.settled()
      await this.#turns.next() // all who have waited for it would read in one turn of the event loop
    }
  }

  hasTrimmed(selection: Selection, after: number, since: number): boolean {
    return this.#reader.hasTrimmed(selection, after, since)
  }

  stats(): LogStats {
    const { events, bytes } = this.#state.totals
    return { topics: this.#state.topics.size, events, bytes }
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
    await closeStore(this.#folder, this.#tables)
    await this.#lock.release()
  }
}

/** The most bytes that LMDB takes for a key are 1,978. */
const MAX_KEY = 1_024

class FileRecords implements Records {
  readonly #table: Tables['records']
  readonly #writer: Writer

  constructor(table: Tables['records'], writer: Writer) {
    this.#table = table
    this.#writer = writer
  }

  get(key: string): unknown {
    return this.#table.get(key)
  }

  list(prefix: string): { key: string; value: unknown }[] {
    return [...this.#table.getRange({ start: prefix, end: `${prefix}\uffff` })].map(({ key, value }) => ({ key, value }))
  }

  async put(key: string, value: unknown): Promise<void> {
    if (Buffer.byteLength(key) > MAX_KEY) throw new RangeError(`the key of a record may have ${MAX_KEY} bytes`) // it would fail the whole transaction
    return this.#writer.change(() => this.#table.putSync(key, value))
  }

  delete(key: string): Promise<void> {
    return this.#writer.change(() => this.#table.removeSync(key))
  }
}
