/**
 * Group commit: runs one transaction at a time. All requests that arrive during its flush share the next transaction,
 * which also trims.
 */
import { setImmediate } from 'node:timers/promises'
import { HubError } from '../../model/hub-error.js'
import type { NewEvent } from '../../model/event.js'
import type { Durability } from '../durability.js'
import type { Appended, AppendOptions, LogDelta, Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { TransactionFigures } from '../transaction-figures.js'
import type { Answers, Origin } from './answers.js'
import { AppendQueue, type PendingAppend } from './append-queue.js'
import { EventAppender } from './event-appender.js'
import { IndexSchedule } from './index-schedule.js'
import { LARGEST_EVENT } from './largest-event.js'
import type { FolderLock } from './lock.js'
import type { PendingRecord } from './pending-record.js'
import { waitForPublishers } from './publisher-wait.js'
import { PurgeQueue } from './purge-queue.js'
import { notPurged, notStored } from './refusal.js'
import type { ReplicatedChange } from './replicated-change.js'
import type { Room } from './room.js'
import type { State } from './state.js'
import type { WritableTables } from './tables.js'
import { transact } from './transaction.js'
import { TransactionBody, type Outcome, type Requests } from './transaction-body.js'
import { NO_LIMITS, TransactionLimits, type Limits } from './transaction-limits.js'
import type { Trimmer } from './trimmer.js'
import { WriterHealth } from './writer-health.js'

/**
 * With `commit`, a transaction of at least this many events blocks the event loop so long that its followers get the
 * delta in the next turn. With `sync`, a flush always ends in another turn.
 */
const LARGE_GROUP = 250

export interface WriterOptions {
  durability: Durability
  retention: Retention
  clock: SteadyClock
  /** Is given each transaction. */
  transactions: TransactionFigures
  /** Called with the changes of each transaction, in order, once it is durable. */
  onDelta: (delta: LogDelta) => void
  /** Called after each transaction, once it is durable and part of the state. */
  onCommit: (replicate: () => ReplicatedChange) => void
  /** Called with the reason when the log can no longer store events, and with `undefined` when it can again. */
  onHealth: (failure: Error | undefined) => void
  lock: FolderLock
  room: Room
  answers: Answers
}

export class Writer {
  readonly #tables: WritableTables
  readonly #state: State
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
  /** Whether the room does not even suffice for trimming. */
  #isStuck = false
  /** Whether the last transaction has trimmed or indexed events. */
  #madeProgress = false

  constructor(tables: WritableTables, state: State, trimmer: Trimmer, options: WriterOptions) {
    this.#tables = tables
    this.#state = state
    this.#trimmer = trimmer
    this.#options = options
    this.#index = new IndexSchedule(state)
    this.#purges = new PurgeQueue(state, trimmer)
    const { answers, clock, lock, retention } = options
    const appender = new EventAppender(tables, state, clock, retention)
    this.#body = new TransactionBody({ tables, state, appender, purges: this.#purges, trimmer, clock, lock, answers })
    this.#limits = new TransactionLimits(state, trimmer, this.#index, this.#purges, options.room)
    this.#health = new WriterHealth(options.room, options.onHealth)
  }

  /** The reason why the log cannot store events; `undefined` if it can. */
  get failure(): Error | undefined {
    return this.#health.failure
  }

  /**
   * @param origin the other process that requested the append
   * @throws HubError `log-unavailable`, with nothing stored, and those of the appender
   */
  append(events: readonly NewEvent[], { expected }: AppendOptions = {}, origin?: Origin): Promise<Appended[]> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#appends.push({ events, expected, origin, resolve, reject })
      this.#start()
    })
  }

  /**
   * Changes a record in the next transaction. `bytes` is the size of the stored key and value.
   * @returns whether the condition of the change was met
   */
  change(change: Omit<PendingRecord, 'resolve' | 'reject'>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#records.push({ ...change, resolve, reject })
      this.#start()
    })
  }

  /**
   * Purges a topic, in as many transactions as necessary. Resolves with the number of purged events.
   * @param origin the other process that requested the purge. If an earlier leader has begun it, it continues
   * @throws HubError `log-unavailable`
   */
  purge(topic: string, origin?: Origin): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      const begun = origin && this.#options.answers.findPurge(origin)
      this.#purges.add({ topic, origin, resolve, reject }, begun)
      this.#start()
    })
  }

  /** Indexes and trims, or tries the disk again after a failure. Call it periodically. */
  tick(): void {
    if (this.#closed) return
    const { lock } = this.#options
    const lost = lock.look() ?? lock.taken()
    if (lost) return this.#health.set(lost)
    this.#trimmer.look()
    this.#index.begin()
    if (
      this.failure ||
      this.#isDue ||
      !this.#options.room.fits(LARGEST_EVENT, 'publish') ||
      this.#tables.guard.isBehind()
    )
      this.#start(true)
  }

  /**
   * Resolves once readers see the newest transaction. Call it when another process has opened the files.
   * @throws HubError `log-unavailable`
   */
  async showNewest(): Promise<void> {
    if (this.#tables.guard.isBehind()) await this.change({ write: () => 'unchanged', bytes: 0 })
  }

  /** Resolves when the running transaction has become the state. */
  async settled(): Promise<void> {
    await (this.#committing ?? setImmediate())
  }

  /** Refuses further requests. Resolves when all earlier ones are done. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  /** Begins no further transaction. Resolves when the running one has ended. */
  async halt(): Promise<void> {
    this.#closed = true
    this.#halted = true
    await this.#committing
  }

  #refuse(reject: (err: Error) => void): boolean {
    if (this.#closed) reject(new HubError('log-unavailable', 'The log is closed.'))
    return this.#closed
  }

  /** Runs transactions until there is nothing to do. The first one takes all requests of this turn. */
  #start(evenIfIdle = false): void {
    this.#running ??= this.#run(evenIfIdle)
  }

  async #run(evenIfIdle: boolean): Promise<void> {
    await setImmediate() // all requests of one turn share a transaction
    for (
      let due = evenIfIdle;
      !this.#halted && (due || this.#isAsked);
      due = this.#canTrim && !this.#closed && (evenIfIdle ? this.#isDue : this.#isPressing)
    ) {
      const appends = this.#trimsFirst ? [] : this.#appends.takeGroup()
      const began = performance.now()
      const commit = this.#commit({ appends, records: this.#records.splice(0), purges: this.#purges.pending() })
      this.#committing = commit
      const expected = await commit
      this.#committing = undefined
      await waitForPublishers(this.#appends, expected, performance.now() - began)
    }
    this.#running = undefined // in the turn of the last check, so that a later request starts a new run
  }

  /** Whether trimming or indexing precedes appends: it is far behind, and the last transaction made progress. */
  get #trimsFirst(): boolean {
    return this.#madeProgress && !this.#closed && (this.#trimmer.isBehind || this.#index.isBehind)
  }

  /** Whether events can be trimmed. Even a full disk has room for that. */
  get #canTrim(): boolean {
    return !this.failure || (this.#health.isFull && !this.#isStuck)
  }

  /** Whether requests are pending. */
  get #isAsked(): boolean {
    return this.#appends.length > 0 || this.#records.length > 0 || this.#purges.size > 0
  }

  /** Whether indexing or trimming is due. */
  get #isDue(): boolean {
    return this.#isPressing || this.#trimmer.isDue
  }

  /** Whether indexing or trimming is due before the next append or tick. */
  get #isPressing(): boolean {
    return this.#index.isUnderWay || this.#trimmer.needsIndex || this.#trimmer.isBehind
  }

  /** @returns the number of pending appends once each answered publisher has published again; 0 if all were refused */
  async #commit(requests: Requests): Promise<number> {
    const { lock, room } = this.#options
    const lost = lock.look()
    if (lost) {
      this.#health.set(lost)
      return this.#refuseAll(requests, lost)
    }
    let { appends } = requests
    if (appends.length === 0 || this.failure) await this.#health.lookForRoom()
    const noRoom = this.#health.isFull
    const must = this.#body.workOf(requests)
    // does not await if there is room: this runs for every transaction
    const canAppend = appends.length > 0 && !noRoom && (room.has(must, 'publish') || (await room.make(must, 'publish')))
    let limits = canAppend ? this.#limits.next(must, NO_LIMITS) : undefined
    if (!limits) {
      limits = await this.#refuseAppends(requests, noRoom)
      appends = []
      if (!limits) return this.#refuseAll({ ...requests, appends }, room.failure)
    }
    const accepted = { ...requests, appends }
    let outcome: Outcome
    try {
      outcome = await this.#transact(accepted, limits)
    } catch (err) {
      this.#health.set(err as Error)
      return this.#refuseAll(accepted, err as Error)
    }
    const purged = this.#apply(outcome)
    const lostMeanwhile = lock.look()
    if (lostMeanwhile) {
      this.#health.set(lostMeanwhile)
      // the events are stored in a folder that is no longer in use
      return this.#refuseAll(accepted, lostMeanwhile)
    }
    // counts before a publisher of this process can publish again
    const expected = this.#appends.length + appends.length
    answerAppends(appends, outcome)
    accepted.records.forEach(({ resolve }, index) => resolve(outcome.written[index]!))
    this.#purges.resolve(purged)
    return expected
  }

  /** @throws the reason why the transaction failed: nothing is stored */
  async #transact(requests: Requests, limits: Limits): Promise<Outcome> {
    const { durability, transactions } = this.#options
    const began = performance.now()
    const outcome = await transact(this.#tables, durability, () => this.#body.write(requests, limits))
    transactions.durations.observe((performance.now() - began) / 1_000)
    transactions.events.observe(outcome.stored.length)
    if (durability === 'commit' && outcome.stored.length >= LARGE_GROUP) await setImmediate()
    return outcome
  }

  /**
   * Refuses appends, since there is no room for them.
   * @returns the limits of a transaction without appends; `undefined`: there is no room for any transaction
   */
  async #refuseAppends({ appends, records, purges }: Requests, noRoom: boolean) {
    const { room } = this.#options
    this.#refuseAll({ appends, records: [], purges: [] }, room.failure)
    // checks whether the disk is full, or the group was only larger than the largest event
    if (appends.length > 0 && !noRoom) await this.#health.lookForRoom()
    const must = this.#body.workOf({ appends: [], records, purges })
    const limits = (await room.make(must, 'trim')) ? this.#limits.next(must) : undefined
    this.#isStuck = !limits
    if (!limits) this.#health.set(room.failure)
    return limits
  }

  /**
   * Applies a transaction to the state, and tells the followers.
   * @returns the purged topics
   */
  #apply(outcome: Outcome): ReturnType<Outcome['apply']>['purged'] {
    this.#options.room.used(outcome.work)
    this.#madeProgress = outcome.work.removals > 0 || outcome.work.indexed > 0
    if (!this.#health.isFull) this.#health.set(undefined)
    const { trims, purged } = outcome.apply()
    this.#state.finite.changed(outcome.records)
    this.#options.onCommit(outcome.replicate)
    this.#tell({ events: outcome.stored, trims, records: outcome.records })
    return purged
  }

  #tell(delta: LogDelta): void {
    if (delta.events.length + delta.trims.length + delta.records.length > 0) this.#options.onDelta(delta)
  }

  /**
   * Refuses requests that could not be stored.
   * @returns 0: their publishers are not expected to publish again at once
   */
  #refuseAll({ appends, records, purges }: Requests, cause: Error | undefined): 0 {
    const refusal = notStored(cause)
    for (const { reject } of [...appends, ...records]) reject(refusal)
    this.#purges.reject(purges, notPurged(cause))
    return 0
  }
}

function answerAppends(appends: readonly PendingAppend[], { appended }: Outcome): void {
  appends.forEach(({ resolve, reject }, index) => {
    const answer = appended[index]!
    if (answer instanceof HubError) reject(answer)
    else resolve(answer)
  })
}
