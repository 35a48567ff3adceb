/**
 * Group commit: one transaction at a time, and everything that was asked for while it was being flushed goes into the
 * next one together. What is to be trimmed goes along.
 */
import { setImmediate } from 'node:timers/promises'
import { HubError } from '../../model/hub-error.js'
import type { NewEvent } from '../../model/event.js'
import type { Durability } from '../durability.js'
import type { Appended, LogDelta, RecordChange, Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import { AppendQueue, type PendingAppend } from './append-queue.js'
import { EventAppender } from './event-appender.js'
import { IndexSchedule } from './index-schedule.js'
import { LARGEST_EVENT } from './largest-event.js'
import type { FolderLock } from './lock.js'
import type { PendingRecord } from './pending-record.js'
import { waitForPublishers } from './publisher-wait.js'
import { PurgeQueue, type PendingPurge } from './purge-queue.js'
import { notPurged, notStored } from './refusal.js'
import type { Room } from './room.js'
import type { State } from './state.js'
import type { Tables } from './tables.js'
import { transact } from './transaction.js'
import { TransactionBody, type Outcome } from './transaction-body.js'
import { NO_LIMITS, TransactionLimits } from './transaction-limits.js'
import type { Trimmer } from './trimmer.js'
import { WriterHealth } from './writer-health.js'

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
  readonly #tables: Tables
  readonly #trimmer: Trimmer
  readonly #options: WriterOptions
  readonly #body: TransactionBody
  readonly #index: IndexSchedule
  readonly #appends = new AppendQueue()
  readonly #purges: PurgeQueue
  readonly #limits: TransactionLimits
  readonly #health: WriterHealth
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
    this.#trimmer = trimmer
    this.#options = options
    this.#index = new IndexSchedule(state)
    this.#purges = new PurgeQueue(state, trimmer)
    const { clock, lock, retention } = options
    const appender = new EventAppender(tables, state, clock, retention)
    this.#body = new TransactionBody({ tables, state, appender, purges: this.#purges, trimmer, clock, lock })
    this.#limits = new TransactionLimits(state, trimmer, this.#index, this.#purges, options.room)
    this.#health = new WriterHealth(options.room, options.onHealth)
  }

  /** Why the last transaction failed; `undefined` when it did not. */
  get failure(): Error | undefined {
    return this.#health.failure
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
    if (lost) return this.#health.set(lost)
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
      await waitForPublishers(this.#appends, expected, performance.now() - began)
    }
    this.#running = undefined // in the same turn in which nothing was found to do: who comes later starts anew
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
    return !this.failure || (this.#health.isFull && !this.#isStuck)
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
      this.#health.set(lost)
      return this.#refuseAll(appends, records, purges, lost)
    }
    if (appends.length === 0 || this.failure) await this.#health.lookForRoom()
    const noRoom = this.#health.isFull
    let must = this.#body.workOf(appends, records)
    // no await where there is room already: this runs for every transaction
    const canAppend = appends.length > 0 && !noRoom && (room.has(must, 'publish') || (await room.make(must, 'publish')))
    let limits = canAppend ? this.#limits.next(must, NO_LIMITS) : undefined
    if (!limits) {
      this.#refuseAll(appends, [], [], room.failure)
      if (appends.length > 0 && !noRoom) await this.#health.lookForRoom() // else it was more than the largest event
      appends = []
      must = this.#body.workOf(appends, records)
      limits = (await room.make(must, 'trim')) ? this.#limits.next(must) : undefined
      this.#isStuck = !limits
      if (!limits) {
        this.#health.set(room.failure)
        return this.#refuseAll([], records, purges, room.failure)
      }
    }
    let outcome: Outcome
    try {
      outcome = await transact(this.#tables.root, this.#options.durability, () =>
        this.#body.write(appends, records, purges, limits),
      )
    } catch (err) {
      this.#health.set(err as Error)
      return this.#refuseAll(appends, records, purges, err as Error)
    }
    room.used(outcome.work)
    this.#gotAhead = outcome.work.removals > 0 || outcome.work.indexed > 0
    if (!this.#health.isFull) this.#health.set(undefined)
    const { trims, purged } = outcome.apply()
    this.#tell({ events: outcome.stored, trims, records: outcome.records })
    const lostMeanwhile = lock.look()
    if (lostMeanwhile) {
      this.#health.set(lostMeanwhile)
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

  /**
   * Answers those who have asked for something that could not be done.
   * @returns 0: none of them is expected to publish again at once
   */
  #refuseAll(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[], cause: Error | undefined): 0 {
    const refusal = notStored(cause)
    for (const { reject } of [...appends, ...records]) reject(refusal)
    this.#purges.reject(purges, notPurged(cause))
    return 0
  }
}
