/**
 * Group commit: one transaction at a time, and everything that was asked for while it was being flushed goes into the
 * next one together. What is to be trimmed goes along.
 */
import { setImmediate } from 'node:timers/promises'
import { HubError } from '../../hub/hub-error.js'
import type { NewEvent, StoredEvent } from '../../hub/event.js'
import { tooManyTopics, type Appended, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import { toEvent, toRow } from './rows.js'
import { Change, type State } from './state.js'
import type { Durability, Tables } from './store.js'
import type { Trimmer } from './trimmer.js'

/** No further append joins a transaction that has so many events: writing them holds the event loop. */
const GROUP_EVENTS = 1_000
/** The longest that a transaction waits for appends to join it, in milliseconds. */
const MAX_PATIENCE = 1
/** In so many turns of the event loop at least they can join it: beside a sweep over many subscribers each of them is longer than that. */
const MIN_TURNS = 2
/** How much is stored to find out whether a disk has room again, in bytes: an event of the greatest size. */
const PROBE = 256 * 1024
/** How many events a transaction trims beside its appends, so that trimming keeps up with any load. */
const TRIM_STEP = 200
/** How many events a transaction takes out of topics that are purged: then it holds the event loop for some milliseconds. */
const PURGE_STEP = 500

/**
 * An append touches only the end of the events. The index, where each topic's entries are in a place of their own, is
 * written for so many events at once, and soon: a page of it for every event would be most of what is flushed.
 */
const INDEX_STEP = 4_000

interface PendingAppend {
  events: readonly NewEvent[]
  resolve: (appended: Appended[]) => void
  reject: (err: Error) => void
}

interface PendingRecord {
  write: () => void
  resolve: () => void
  reject: (err: Error) => void
}

interface PendingPurge {
  topic: string
  /** What lies behind this sequence stays. */
  until: number
  /** How many events have been taken out so far. */
  purged: number
  resolve: (purged: number) => void
  reject: (err: Error) => void
}

/** What a transaction did. */
interface Outcome {
  stored: StoredEvent[]
  /** What became of each append; a refused one has stored nothing. */
  appended: (Appended[] | HubError)[]
  /** Purges that are done. */
  purged: PendingPurge[]
  /** Makes it the state. */
  apply: () => void
}

export interface WriterOptions {
  durability: Durability
  retention: Retention
  clock: SteadyClock
  /** Called with what was stored, in order, once it is durable. */
  onStored: (events: readonly StoredEvent[]) => void
  /** Called when nothing can be stored any more, with the reason, and with `undefined` when it can again. */
  onHealth: (failure: Error | undefined) => void
}

export class Writer {
  /** Why the last transaction failed; `undefined` when it did not. */
  failure: Error | undefined
  readonly #tables: Tables
  readonly #state: State
  readonly #trimmer: Trimmer
  readonly #options: WriterOptions
  #appends: PendingAppend[] = []
  #records: PendingRecord[] = []
  readonly #purges = new Set<PendingPurge>()
  #running: Promise<void> | undefined
  #committing: Promise<void> | undefined
  #closed = false
  #halted = false
  #hasProbe = false
  /** Whether the index is being brought up to date. */
  #indexing = false

  constructor(tables: Tables, state: State, trimmer: Trimmer, options: WriterOptions) {
    this.#tables = tables
    this.#state = state
    this.#trimmer = trimmer
    this.#options = options
  }

  /** @throws HubError `log-unavailable`, with nothing stored */
  append(events: readonly NewEvent[]): Promise<Appended[]> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#appends.push({ events, resolve, reject })
      this.#start()
    })
  }

  /** Changes a table of its own, in the next transaction. */
  change(write: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return
      this.#records.push({ write, resolve, reject })
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
      this.#purges.add({ topic, until: this.#state.totals.head, purged: 0, resolve, reject })
      this.#start()
    })
  }

  /** Indexes and trims, or finds out whether the disk can be written again. */
  tick(): void {
    if (this.#closed) return
    this.#trimmer.look()
    this.#indexing ||= this.#state.unindexed.length > 0
    if (this.failure || this.#isDue) this.#start(true)
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
    for (let due = evenIfIdle; !this.#halted && (due || this.#isAsked); due = !this.failure && !this.#closed && this.#isDue) {
      const appends = this.#takeAppends()
      const began = performance.now()
      await (this.#committing = this.#commit(appends, this.#records.splice(0), [...this.#purges]))
      this.#committing = undefined
      await this.#gather(this.#appends.length + appends.length, performance.now() - began)
    }
    this.#running = undefined // in the same turn in which nothing was found to do: who comes later starts anew
  }

  /**
   * Waits for those who have been answered to publish again, so that they, and those who came while they were waiting, go
   * into one transaction and not forever into every second one.
   * @param expected how many appends there would be then
   * @param patience for how long, in milliseconds: at most as long as a transaction takes
   */
  async #gather(expected: number, patience: number): Promise<void> {
    const end = performance.now() + Math.min(patience, MAX_PATIENCE)
    let turns = 0
    do await setImmediate()
    while (expected > 1 && this.#appends.length < expected && (++turns < MIN_TURNS || performance.now() < end))
  }

  /** Whether there is something to do that somebody waits for. */
  get #isAsked(): boolean {
    return this.#appends.length > 0 || this.#records.length > 0 || this.#purges.size > 0
  }

  /** Whether there is something to do that nobody waits for. */
  get #isDue(): boolean {
    return this.#indexing || this.#trimmer.needsIndex || this.#trimmer.isDue
  }

  #takeAppends(): PendingAppend[] {
    let count = 0
    let taken = 0
    while (taken < this.#appends.length && (taken === 0 || count < GROUP_EVENTS)) count += this.#appends[taken++]!.events.length
    return this.#appends.splice(0, taken)
  }

  async #commit(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[]): Promise<void> {
    let outcome: Outcome
    try {
      outcome = await this.#transaction(() => this.#write(appends, records, purges))
      this.#setFailure(undefined)
    } catch (err) {
      this.#setFailure(err as Error)
      const refusal = new HubError('log-unavailable', 'The event could not be stored: the disk is full, or cannot be written. Try again later.', { cause: err })
      for (const { reject } of [...appends, ...records]) reject(refusal)
      const refusedPurge = new HubError('log-unavailable', 'Not all events could be taken out: the disk is full, or cannot be written. Try again later.', { cause: err })
      for (const purge of purges) {
        this.#purges.delete(purge)
        purge.reject(refusedPurge)
      }
      return
    }
    outcome.apply()
    if (outcome.stored.length > 0) this.#options.onStored(outcome.stored)
    appends.forEach(({ resolve, reject }, index) => {
      const answer = outcome.appended[index]!
      if (answer instanceof HubError) reject(answer)
      else resolve(answer)
    })
    for (const { resolve } of records) resolve()
    for (const purge of outcome.purged) {
      this.#purges.delete(purge)
      purge.resolve(purge.purged)
    }
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
    try {
      return await root.childTransaction(write)
    } catch (err) {
      throw await reasonOf(err)
    }
  }

  #write(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[]): Outcome {
    const change = new Change(this.#state, this.#tables)
    const time = this.#options.clock.stamp(change.totals.head)
    const stored: StoredEvent[] = []
    const appended = appends.map(({ events }) => this.#refusal(change, events) ?? events.map((event) => this.#append(change, event, time, stored)))
    if (this.#indexing || this.#state.unindexed.length >= INDEX_STEP || this.#trimmer.needsIndex || purges.some((purge) => this.#isUnindexed(purge))) change.index(INDEX_STEP)
    const steps = this.#purge(change, purges)
    const trimmed = this.#trimmer.step(change, TRIM_STEP + 2 * stored.length)
    for (const { write } of records) write()
    this.#probe()
    change.write()
    return {
      stored,
      appended,
      purged: steps.filter(({ done }) => done).map(({ purge }) => purge),
      apply: () => {
        change.apply()
        for (const { purge, count } of steps) purge.purged += count
        this.#indexing &&= this.#state.unindexed.length > INDEX_STEP
        trimmed()
      },
    }
  }

  /** Takes out the next events of topics that are purged. What is not in the index yet is for the next transaction. */
  #purge(change: Change, purges: PendingPurge[]): { purge: PendingPurge; count: number; done: boolean }[] {
    let left = PURGE_STEP
    return purges.map((purge) => {
      if (!this.#state.topics.has(purge.topic)) return { purge, count: 0, done: true } // there was nothing when it was asked for, or there is not any more
      if (left === 0) return { purge, count: 0, done: false }
      const count = this.#trimmer.purge(change, change.topic(purge.topic), purge.until, left)
      left -= count
      return { purge, count, done: left > 0 && !this.#isUnindexed(purge) }
    })
  }

  /** Whether something that is to be purged is not in the index yet. */
  #isUnindexed({ topic, until }: PendingPurge): boolean {
    const [oldest] = this.#state.topics.get(topic)?.recent ?? []
    return oldest !== undefined && oldest <= until
  }

  /**
   * While nothing can be stored, every transaction tries to store as much as what failed: a disk that is full may still
   * take a transaction that is smaller.
   */
  #probe(): void {
    const { meta } = this.#tables
    if (this.failure) meta.putSync('probe', 'x'.repeat(PROBE))
    else if (this.#hasProbe) meta.removeSync('probe')
    this.#hasProbe = this.failure !== undefined
  }

  /** Why events cannot be appended: they would make more topics than there may be. */
  #refusal(change: Change, events: readonly NewEvent[]): HubError | undefined {
    const { topics: limit = Infinity } = this.#options.retention
    if (change.topicCount + events.length <= limit) return undefined
    const added = new Set<string>()
    for (const [index, event] of events.entries()) {
      if (change.hasTopic(event.topic) || this.#first(event) !== undefined) continue
      if (change.topicCount + added.add(event.topic).size > limit) return tooManyTopics(event, index, limit)
    }
    return undefined
  }

  /** The sequence of the first event with an event's publisher id, as long as that is remembered. */
  #first({ topic, id }: NewEvent): number | undefined {
    const first = id === undefined ? undefined : this.#tables.ids.get([topic, id])
    if (!first) return undefined
    const { clock, retention: { dedupWindow } } = this.#options
    return clock.time - clock.timeOf(...first) < dedupWindow || this.#tables.events.doesExist(first[0]) ? first[0] : undefined
  }

  #append(change: Change, event: NewEvent, time: number, stored: StoredEvent[]): Appended {
    const { events, ids } = this.#tables
    const first = this.#first(event)
    if (first !== undefined) return { sequence: first, duplicate: true }
    const topic = change.topic(event.topic)
    const sequence = ++change.totals.head
    const row = toRow(event, time)
    events.putSync(sequence, row)
    if (event.id !== undefined) ids.putSync([event.topic, event.id], [sequence, time])
    change.append(topic, sequence, event)
    stored.push(toEvent(sequence, row))
    return { sequence, duplicate: false }
  }
}

/** lmdb says why a commit failed by a promise of its own. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(() => err, (reason: unknown) => reason)
}
