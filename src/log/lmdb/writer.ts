/**
 * Group commit: one transaction at a time, and everything that was asked for while it was being flushed goes into the
 * next one together. What is to be trimmed goes along.
 */
import { setImmediate } from 'node:timers/promises'
import { HubError } from '../../model/hub-error.js'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import { NO_RECORDS, type Appended, type LogDelta, type RecordChange, type Retention, type Trim } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { Durability } from '../durability.js'
import { AppendQueue, type PendingAppend } from './append-queue.js'
import { Change } from './change.js'
import { countEvent, EventAppender } from './event-appender.js'
import { IndexSchedule } from './index-schedule.js'
import type { FolderLock } from './lock.js'
import { Work } from './pages.js'
import { PurgeQueue, type PendingPurge } from './purge-queue.js'
import { NoRoomError, type Room } from './room.js'
import type { State } from './state.js'
import type { Tables } from './tables.js'
import type { Trimmer } from './trimmer.js'

/** The longest that a transaction waits for appends to join it, in milliseconds. */
const MAX_WAIT = 1
/**
 * In so many turns of the event loop at least they can join it: beside a sweep over many subscribers each of them is
 * longer than that.
 */
const MIN_TURNS = 2
/** A log that has no room takes events again when it has room for one of the greatest size, in bytes. */
const LARGEST = 256 * 1024
/** What its header, topic, type, publisher id and attributes take at most, in bytes. */
const LARGEST_ENVELOPE = 12 * 1024
/**
 * How many more events a transaction trims than it appends, so that trimming keeps up with any load, and how many at
 * most.
 */
const TRIM_STEP = { more: 1_000, most: 2_000 }
/** When there is little room, transactions become smaller down to this share of their usual size. */
const MIN_SHARE = 1 / 128
/**
 * How many events a transaction takes out of topics that are purged: then it holds the event loop for some
 * milliseconds.
 */
const PURGE_STEP = 500

export const LARGEST_EVENT = new Work().with({ ids: 1, newTopics: 1 })
countEvent(LARGEST + LARGEST_ENVELOPE, LARGEST_EVENT)
const TWO_LARGEST_EVENTS = LARGEST_EVENT.with({
  events: 2,
  eventBytes: 2 * LARGEST_EVENT.eventBytes,
  ownPages: 2 * LARGEST_EVENT.ownPages,
})

interface PendingRecord {
  /** @returns what it has changed; `undefined`: nothing */
  write: () => RecordChange | undefined
  bytes: number
  resolve: () => void
  reject: (err: Error) => void
}

/** How much a transaction may do beside its appends. */
interface Limits {
  /** What is done for those who wait, and has room. */
  must: Work
  index: number
  trims: number
  purges: number
}

const NO_LIMITS = { index: 0, trims: 0, purges: 0 }

/** What a transaction did. */
interface Outcome {
  work: Work
  stored: StoredEvent[]
  /** What became of each append; a refused one has stored nothing. */
  appended: (Appended[] | HubError)[]
  records: readonly RecordChange[]
  /** Makes it the state. */
  apply: () => { trims: readonly Trim[]; purged: PendingPurge[] }
}

export interface WriterOptions {
  durability: Durability
  retention: Retention
  clock: SteadyClock
  /** Called with what each transaction has changed, in order, once it is durable. */
  onDelta: (delta: LogDelta) => void
  /** Called when nothing can be stored any more, with the reason, and with `undefined` when it can again. */
  onHealth: (failure: Error | undefined) => void
  lock: FolderLock
  room: Room
}

export class Writer {
  /** Why the last transaction failed; `undefined` when it did not. */
  failure: Error | undefined
  readonly #tables: Tables
  readonly #state: State
  readonly #trimmer: Trimmer
  readonly #options: WriterOptions
  readonly #appender: EventAppender
  readonly #index: IndexSchedule
  readonly #appends = new AppendQueue()
  readonly #purges: PurgeQueue
  #records: PendingRecord[] = []
  #running: Promise<void> | undefined
  #committing: Promise<unknown> | undefined
  #closed = false
  #halted = false
  /** Whether there was not even room for trimming. */
  #isStuck = false
  /** Whether the last transaction has trimmed something. */
  #gotAhead = false

  constructor(tables: Tables, state: State, trimmer: Trimmer, options: WriterOptions) {
    this.#tables = tables
    this.#state = state
    this.#trimmer = trimmer
    this.#options = options
    this.#appender = new EventAppender(tables, state, options.clock, options.retention)
    this.#index = new IndexSchedule(state)
    this.#purges = new PurgeQueue(state, trimmer)
    if (!options.room.fits(LARGEST_EVENT, 'publish')) this.#setFailure(options.room.failure)
  }

  /** @throws HubError `log-unavailable`, with nothing stored */
  append(events: readonly NewEvent[]): Promise<Appended[]> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#appends.push({ events, resolve, reject })
      this.#start()
    })
  }

  /**
   * Changes a table of its own, in the next transaction.
   * @param write returns what it has changed; `undefined`: nothing
   * @param bytes what is stored
   */
  change(write: () => RecordChange | undefined, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#records.push({ write, bytes, resolve, reject })
      this.#start()
    })
  }

  /**
   * Takes out what a topic has, in as many transactions as it needs.
   * @throws HubError `log-unavailable`
   */
  purge(topic: string): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#purges.add(topic, resolve, reject)
      this.#start()
    })
  }

  /** Indexes and trims, or finds out whether the disk can be written again. */
  tick(): void {
    if (this.#closed) return
    const lost = this.#options.lock.look()
    if (lost) return this.#setFailure(lost)
    this.#trimmer.look()
    this.#index.begin()
    if (this.failure || this.#isDue || !this.#options.room.fits(LARGEST_EVENT, 'publish')) this.#start(true)
  }

  /** Resolves, soon, when the transaction that is under way has become the state. */
  async settled(): Promise<void> {
    await (this.#committing ?? setImmediate())
  }

  /** Resolves when nothing is being written any more; nothing is taken after it. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  /** Begins no other transaction; resolves when the one that is under way is over. */
  async halt(): Promise<void> {
    this.#closed = true
    this.#halted = true
    await this.#committing
  }

  #refuse(reject: (err: Error) => void): boolean {
    if (this.#closed) reject(new HubError('log-unavailable', 'The log is closed.'))
    return this.#closed
  }

  /** Runs transactions until there is nothing to do; the first one takes everything that this turn asks for. */
  #start(evenIfIdle = false): void {
    this.#running ??= this.#run(evenIfIdle)
  }

  async #run(evenIfIdle: boolean): Promise<void> {
    await setImmediate() // everything that is published in one turn goes into one transaction
    for (
      let due = evenIfIdle;
      !this.#halted && (due || this.#isAsked);
      due = this.#canTrim && !this.#closed && (evenIfIdle ? this.#isDue : this.#isPressing)
    ) {
      const appends = this.#trimsFirst ? [] : this.#appends.takeGroup()
      const began = performance.now()
      const commit = this.#commit(appends, this.#records.splice(0), this.#purges.pending())
      this.#committing = commit
      const expected = await commit
      this.#committing = undefined
      await this.#gather(expected, performance.now() - began)
    }
    this.#running = undefined // in the same turn in which nothing was found to do: who comes later starts anew
  }

  /**
   * Waits for those who have been answered to publish again, so that they, and those who came while they were waiting,
   * go into one transaction and not forever into every second one.
   * @param expected how many appends there would be then
   * @param longest for how long, in milliseconds: at most as long as a transaction takes
   */
  async #gather(expected: number, longest: number): Promise<void> {
    const end = performance.now() + Math.min(longest, MAX_WAIT)
    let turns = 0
    do await setImmediate()
    while (expected > 1 && this.#appends.length < expected && (++turns < MIN_TURNS || performance.now() < end))
  }

  /**
   * Whether trimming or indexing is so far behind that the next transaction does nothing else, provided that the last
   * one got ahead.
   */
  get #trimsFirst(): boolean {
    return this.#gotAhead && !this.#closed && (this.#trimmer.isBehind || this.#index.isBehind)
  }

  /** Whether events can be trimmed. A disk that is full has room for that. */
  get #canTrim(): boolean {
    return !this.failure || (this.failure instanceof NoRoomError && !this.#isStuck)
  }

  /** Whether there is something to do that somebody waits for. */
  get #isAsked(): boolean {
    return this.#appends.length > 0 || this.#records.length > 0 || this.#purges.size > 0
  }

  /** Whether there is something to do that nobody waits for. */
  get #isDue(): boolean {
    return this.#isPressing || this.#trimmer.isDue
  }

  /** Whether some of that should not wait for the next append or tick. */
  get #isPressing(): boolean {
    return this.#index.isUnderWay || this.#trimmer.needsIndex || this.#trimmer.isBehind
  }

  /** @returns how many appends there are when each publisher that is answered publishes again; 0: all were refused */
  async #commit(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[]): Promise<number> {
    const { lock, room } = this.#options
    const lost = lock.look()
    if (lost) {
      this.#setFailure(lost)
      return this.#refuseAll(appends, records, purges, lost)
    }
    if (appends.length === 0 || this.failure) await this.#lookForRoom()
    const noRoom = this.failure instanceof NoRoomError
    let must = this.#workOf(appends, records)
    // no await where there is room already: this runs for every transaction
    const canAppend = appends.length > 0 && !noRoom && (room.has(must, 'publish') || (await room.make(must, 'publish')))
    let limits = canAppend ? this.#limits(must, NO_LIMITS) : undefined
    if (!limits) {
      this.#refuseAll(appends, [], [], room.failure)
      if (appends.length > 0 && !noRoom) await this.#lookForRoom() // else it was more than the largest event
      appends = []
      must = this.#workOf(appends, records)
      limits = (await room.make(must, 'trim')) ? this.#limits(must) : undefined
      this.#isStuck = !limits
      if (!limits) {
        this.#setFailure(room.failure)
        return this.#refuseAll([], records, purges, room.failure)
      }
    }
    let outcome: Outcome
    try {
      outcome = await this.#transaction(() => this.#write(appends, records, purges, limits))
    } catch (err) {
      this.#setFailure(err as Error)
      return this.#refuseAll(appends, records, purges, err as Error)
    }
    room.used(outcome.work)
    this.#gotAhead = outcome.work.removals > 0 || outcome.work.indexed > 0
    if (!(this.failure instanceof NoRoomError)) this.#setFailure(undefined)
    const { trims, purged } = outcome.apply()
    this.#tell({ events: outcome.stored, trims, records: outcome.records })
    const lostMeanwhile = lock.look()
    if (lostMeanwhile) {
      this.#setFailure(lostMeanwhile)
      return this.#refuseAll(appends, records, purges, lostMeanwhile) // stored where nobody will look for it
    }
    // counted before a publisher of this process can publish again
    const expected = this.#appends.length + appends.length
    appends.forEach(({ resolve, reject }, index) => {
      const answer = outcome.appended[index]!
      if (answer instanceof HubError) reject(answer)
      else resolve(answer)
    })
    for (const { resolve } of records) resolve()
    this.#purges.resolve(purged)
    return expected
  }

  #tell(delta: LogDelta): void {
    if (delta.events.length + delta.trims.length + delta.records.length > 0) this.#options.onDelta(delta)
  }

  /** Notes whether there is room for the largest event, and, where there was none, for two. */
  async #lookForRoom(): Promise<void> {
    const { room } = this.#options
    const isFull = this.failure instanceof NoRoomError
    if (await room.make(isFull ? TWO_LARGEST_EVENTS : LARGEST_EVENT, 'publish')) {
      if (isFull) this.#setFailure(undefined)
    } else if (!this.failure || isFull) this.#setFailure(room.failure)
  }

  /**
   * Answers those who have asked for something that could not be done.
   * @returns 0: none of them is expected to publish again at once
   */
  #refuseAll(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[], cause: Error | undefined): 0 {
    const refusal = new HubError(
      'log-unavailable',
      'The event could not be stored: the disk is full, or cannot be written. Try again later.',
      { cause },
    )
    for (const { reject } of [...appends, ...records]) reject(refusal)
    this.#purges.reject(
      purges,
      new HubError(
        'log-unavailable',
        'Not all events could be taken out: the disk is full, or cannot be written. Try again later.',
        { cause },
      ),
    )
    return 0
  }

  /**
   * How much a transaction may do beside what it must, so that it has room for certain.
   * @param least what it does when there is room for nothing else
   */
  #limits(must: Work, least?: typeof NO_LIMITS): Limits | undefined {
    const { room } = this.#options
    const trims = this.#trimmer.due(Math.min(TRIM_STEP.more + must.events, TRIM_STEP.most))
    const purges = this.#purges.size > 0 ? PURGE_STEP : 0
    const index = this.#needsIndex ? this.#index.next() : 0
    if (trims + purges + index === 0) {
      if (this.#index.isSoonDue) this.#prepareIndexing()
      return { must, index: 0, trims: 0, purges: 0 }
    }
    for (let share = 1; share >= MIN_SHARE; share /= 2) {
      const limits = {
        must,
        index: Math.ceil(index * share),
        trims: Math.ceil(trims * share),
        purges: Math.ceil(purges * share),
      }
      const removals = limits.trims + limits.purges
      const forgotten = this.#trimmer.forgetsTopics ? limits.trims : 0
      const topics = Math.min(limits.index + removals, this.#state.topics.size + forgotten)
      const work = must.with({ indexed: limits.index, removals, topics })
      if (room.fits(work, 'trim')) return limits
      if (share === 1) room.wish(work)
    }
    return least && { ...least, must }
  }

  /**
   * Makes room for a whole step of indexing before it is due: in parts, it would write the rows of many topics for each
   * of them.
   */
  #prepareIndexing(): void {
    const { room } = this.#options
    const { work } = this.#index
    if (!room.fits(work, 'trim')) room.wish(work)
  }

  /** What a transaction has to do for those who wait. */
  #workOf(appends: PendingAppend[], records: PendingRecord[]): Work {
    const work = new Work()
    work.records = records.length
    for (const { bytes } of records) work.recordBytes += bytes
    for (const { events } of appends) this.#appender.count(events, work)
    return work
  }

  #setFailure(failure: Error | undefined): void {
    const changed = (failure === undefined) !== (this.failure === undefined)
    this.failure = failure
    if (changed) this.#options.onHealth(failure)
  }

  /**
   * What flushes runs outside the event loop, which an fsync would stop; what does not flush costs less within it. As a
   * child transaction nothing of it is left when `write` throws.
   */
  async #transaction<T>(write: () => T): Promise<T> {
    const { root } = this.#tables
    if (this.#options.durability === 'commit') return root.transactionSync(write)
    // lmdb keeps what a callback returns in a list of its own, from which V8 would copy everything into the old
    // generation
    let result!: T
    try {
      await root.childTransaction(() => void (result = write()))
    } catch (err) {
      throw await reasonOf(err)
    }
    return result
  }

  #write(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[], limits: Limits): Outcome {
    this.#options.lock.check()
    const change = new Change(this.#state, this.#tables)
    const time = this.#options.clock.stamp(change.totals.head)
    const stored: StoredEvent[] = []
    const appended = appends.map(({ events }) => this.#appender.append(change, events, time, stored))
    if (limits.index > 0) change.index(limits.index)
    const purged = limits.purges > 0 ? this.#purges.step(change, purges, limits.purges) : () => []
    const trimmed = this.#trimmer.step(change, limits.trims)
    const changed = records.length > 0 ? writeRecords(records) : NO_RECORDS
    change.hasRecords = changed.length > 0
    change.write()
    const work = limits.must
    work.indexed = change.indexed
    work.topics = change.written + change.forgotten
    work.removals = change.removals
    return {
      work,
      stored,
      appended,
      records: changed,
      apply: () => {
        const trims = change.apply()
        trimmed()
        return { trims, purged: purged() }
      },
    }
  }

  /** Whether events have to be put into the index now. */
  get #needsIndex(): boolean {
    return this.#index.isUnderWay || this.#index.isDue || this.#trimmer.needsIndex || this.#purges.needsIndex
  }
}

/** Writes records; within a transaction. Returns what has changed. */
function writeRecords(records: readonly PendingRecord[]): RecordChange[] {
  return records.map(({ write }) => write()).filter((change) => change !== undefined)
}

/** lmdb says why a commit failed by a promise of its own. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(
    () => err,
    (reason: unknown) => reason,
  )
}
