/**
 * Group commit: one transaction at a time, and everything that was asked for while it was being flushed goes into the
 * next one together. What is to be trimmed goes along.
 */
import { setImmediate } from 'node:timers/promises'
import { HubError } from '../../model/hub-error.js'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import { tooManyTopics, type Appended, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { FolderLock } from './lock.js'
import { Work } from './pages.js'
import { NoRoomError, type Room } from './room.js'
import { HEADER, ownPagesOf, toStored } from './rows.js'
import { Change, type State } from './state.js'
import { StoreError } from './store-error.js'
import type { Durability, Tables } from './store.js'
import type { Trimmer } from './trimmer.js'

/** No further append joins a transaction that has so many events, or so many characters: writing them holds the event loop. */
const GROUP_EVENTS = 1_000
const GROUP_CHARACTERS = 8 * 1024 * 1024
/** The longest that a transaction waits for appends to join it, in milliseconds. */
const MAX_WAIT = 1
/** In so many turns of the event loop at least they can join it: beside a sweep over many subscribers each of them is longer than that. */
const MIN_TURNS = 2
/** A log that has no room takes events again when it has room for one of the greatest size, in bytes. */
const LARGEST = 256 * 1024
/** How many events a transaction trims beside its appends, so that trimming keeps up with any load. */
const TRIM_STEP = 200
/** When there is little room, transactions become smaller down to this share of their usual size. */
const MIN_SHARE = 1 / 128
/** How many events a transaction takes out of topics that are purged: then it holds the event loop for some milliseconds. */
const PURGE_STEP = 500

/**
 * An append touches only the end of the events. The index, where each topic's entries are in a place of their own, is
 * written for so many events at once, and soon: a page of it for every event would be most of what is flushed.
 */
const INDEX_STEP = 3_000
/** And for events of so many topics: each topic has a row of its own, and a transaction holds the event loop. */
const INDEX_TOPICS = 1_000

/** Pages of LMDB are as large as those of the processor, and those are this large at least, in bytes. */
const PAGE_SIZE = 4_096
/** What an event takes beside its row, in bytes. */
const ROW_OF_LARGE = 32
export const LARGEST_EVENT = new Work().with({ events: 1, eventBytes: ROW_OF_LARGE, ownPages: ownPagesOf(LARGEST, PAGE_SIZE) + 1, ids: 1, newTopics: 1 })
const TWO_LARGEST_EVENTS = LARGEST_EVENT.with({ events: 2, eventBytes: 2 * LARGEST_EVENT.eventBytes, ownPages: 2 * LARGEST_EVENT.ownPages })

interface PendingAppend {
  events: readonly NewEvent[]
  resolve: (appended: Appended[]) => void
  reject: (err: Error) => void
}

interface PendingRecord {
  write: () => void
  bytes: number
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

/** How much a transaction may do beside its appends. */
interface Limits {
  /** What is done for those who wait, and has room. */
  must: Work
  index: number
  trims: number
  purges: number
}

const NO_LIMITS = { index: 0, trims: 0, purges: 0 }

/** Payloads of fewer characters are taken for the most bytes that they can have: counting those costs more than the room. */
const SHORT = 512

/** What a transaction did. */
interface Outcome {
  work: Work
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
  #appends: PendingAppend[] = []
  #records: PendingRecord[] = []
  readonly #purges = new Set<PendingPurge>()
  #running: Promise<void> | undefined
  #committing: Promise<unknown> | undefined
  #closed = false
  #halted = false
  /** Everything up to this sequence is to be put into the index, in as many transactions as it needs. */
  #indexUntil = 0
  /** Whether there was not even room for trimming. */
  #isStuck = false
  /** Whether the last transaction has trimmed something. */
  #gotAhead = false

  constructor(tables: Tables, state: State, trimmer: Trimmer, options: WriterOptions) {
    this.#tables = tables
    this.#state = state
    this.#trimmer = trimmer
    this.#options = options
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
   * @param bytes what is stored
   */
  change(write: () => void, bytes: number): Promise<void> {
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
      this.#purges.add({ topic, until: this.#state.totals.head, purged: 0, resolve, reject })
      this.#start()
    })
  }

  /** Indexes and trims, or finds out whether the disk can be written again. */
  tick(): void {
    if (this.#closed) return
    const lost = this.#options.lock.look()
    if (lost) return this.#setFailure(lost)
    this.#trimmer.look()
    this.#indexUntil = this.#state.totals.head
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
    for (let due = evenIfIdle; !this.#halted && (due || this.#isAsked); due = this.#canTrim && !this.#closed && this.#isDue) {
      const appends = this.#trimsFirst ? [] : this.#takeAppends()
      const began = performance.now()
      const commit = this.#commit(appends, this.#records.splice(0), [...this.#purges])
      this.#committing = commit
      const expected = await commit
      this.#committing = undefined
      await this.#gather(expected, performance.now() - began)
    }
    this.#running = undefined // in the same turn in which nothing was found to do: who comes later starts anew
  }

  /**
   * Waits for those who have been answered to publish again, so that they, and those who came while they were waiting, go
   * into one transaction and not forever into every second one.
   * @param expected how many appends there would be then
   * @param longest for how long, in milliseconds: at most as long as a transaction takes
   */
  async #gather(expected: number, longest: number): Promise<void> {
    const end = performance.now() + Math.min(longest, MAX_WAIT)
    let turns = 0
    do await setImmediate()
    while (expected > 1 && this.#appends.length < expected && (++turns < MIN_TURNS || performance.now() < end))
  }

  /** Whether trimming or indexing is so far behind that the next transaction does nothing else, provided that the last one got ahead. */
  get #trimsFirst(): boolean {
    return this.#gotAhead && !this.#closed && (this.#trimmer.isBehind || this.#state.unindexed.length > 2 * INDEX_STEP)
  }

  /** Whether events can be trimmed. A disk that is full has room for that. */
  get #canTrim(): boolean {
    return !this.failure || (this.failure instanceof NoRoomError && !this.#isStuck)
  }

  /** Whether the index is being brought up to date. */
  get #isIndexing(): boolean {
    const [oldest] = this.#state.unindexed
    return oldest !== undefined && oldest.sequence <= this.#indexUntil
  }

  /** Whether there is something to do that somebody waits for. */
  get #isAsked(): boolean {
    return this.#appends.length > 0 || this.#records.length > 0 || this.#purges.size > 0
  }

  /** Whether there is something to do that nobody waits for. */
  get #isDue(): boolean {
    return this.#isIndexing || this.#trimmer.needsIndex || this.#trimmer.isDue
  }

  #takeAppends(): PendingAppend[] {
    let count = 0
    let characters = 0
    let taken = 0
    while (taken < this.#appends.length && (taken === 0 || (count < GROUP_EVENTS && characters < GROUP_CHARACTERS))) {
      const { events } = this.#appends[taken++]!
      count += events.length
      for (const { payload } of events) characters += payload.length
    }
    return this.#appends.splice(0, taken)
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
    outcome.apply()
    if (outcome.stored.length > 0) this.#options.onStored(outcome.stored)
    const lostMeanwhile = lock.look()
    if (lostMeanwhile) {
      this.#setFailure(lostMeanwhile)
      return this.#refuseAll(appends, records, purges, lostMeanwhile) // stored where nobody will look for it
    }
    const expected = this.#appends.length + appends.length // counted before a publisher of this process can publish again
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
    return expected
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
    const refusal = new HubError('log-unavailable', 'The event could not be stored: the disk is full, or cannot be written. Try again later.', { cause })
    for (const { reject } of [...appends, ...records]) reject(refusal)
    const refusedPurge = new HubError('log-unavailable', 'Not all events could be taken out: the disk is full, or cannot be written. Try again later.', { cause })
    for (const purge of purges) {
      this.#purges.delete(purge)
      purge.reject(refusedPurge)
    }
    return 0
  }

  /**
   * How much a transaction may do beside what it must, so that it has room for certain.
   * @param least what it does when there is room for nothing else
   */
  #limits(must: Work, least?: typeof NO_LIMITS): Limits | undefined {
    const { room } = this.#options
    const trims = this.#trimmer.due(TRIM_STEP + 2 * must.events)
    const purges = this.#purges.size > 0 ? PURGE_STEP : 0
    const index = this.#needsIndex ? this.#indexable() : 0
    if (trims + purges + index === 0) {
      if (this.#state.unindexed.length >= INDEX_STEP / 2) this.#prepareIndexing()
      return { must, index: 0, trims: 0, purges: 0 }
    }
    for (let share = 1; share >= MIN_SHARE; share /= 2) {
      const limits = { must, index: Math.ceil(index * share), trims: Math.ceil(trims * share), purges: Math.ceil(purges * share) }
      const removals = limits.trims + limits.purges
      const forgotten = this.#trimmer.forgetsTopics ? limits.trims : 0
      const topics = Math.min(limits.index + removals, this.#state.topics.size + forgotten)
      const work = must.with({ indexed: limits.index, removals, topics })
      if (room.fits(work, 'trim')) return limits
      if (share === 1) room.wish(work)
    }
    return least && { ...least, must }
  }

  /** Makes room for a whole step of indexing before it is due: in parts, it would write the rows of many topics for each of them. */
  #prepareIndexing(): void {
    const { room } = this.#options
    const work = new Work().with({ indexed: INDEX_STEP, topics: Math.min(INDEX_TOPICS, this.#state.topics.size) })
    if (!room.fits(work, 'trim')) room.wish(work)
  }

  /** What a transaction has to do for those who wait. */
  #workOf(appends: PendingAppend[], records: PendingRecord[]): Work {
    const work = new Work()
    work.records = records.length
    for (const { bytes } of records) work.recordBytes += bytes
    for (const { events } of appends) {
      for (const { topic, type, id, payload } of events) {
        const payloadBytes = payload.length < SHORT ? 3 * payload.length : Buffer.byteLength(payload)
        const bytes = HEADER.bytes + 3 * (topic.length + (type?.length ?? 0) + (id?.length ?? 0)) + payloadBytes
        const ownPages = ownPagesOf(bytes, PAGE_SIZE)
        work.events++
        work.ownPages += ownPages
        work.eventBytes += ownPages > 0 ? ROW_OF_LARGE : bytes + ROW_OF_LARGE
        if (id !== undefined) work.ids++
        if (!this.#state.topics.has(topic)) work.newTopics++
      }
    }
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
    // lmdb keeps what a callback returns in a list of its own, from which V8 would copy everything into the old generation
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
    const appended = appends.map(({ events }) => this.#refusal(change, events) ?? events.map((event) => this.#append(change, event, time, stored)))
    if (limits.index > 0) change.index(limits.index)
    const steps = limits.purges > 0 ? this.#purge(change, purges, limits.purges) : []
    const trimmed = this.#trimmer.step(change, limits.trims)
    for (const { write } of records) write()
    change.write()
    const work = limits.must
    work.indexed = change.indexed
    work.topics = change.written + change.forgotten
    work.removals = change.removals
    return {
      work,
      stored,
      appended,
      purged: steps.filter(({ done }) => done).map(({ purge }) => purge),
      apply: () => {
        change.apply()
        for (const { purge, count } of steps) purge.purged += count
        trimmed()
      },
    }
  }

  /** Takes out the next events of topics that are purged. What is not in the index yet is for the next transaction. */
  #purge(change: Change, purges: PendingPurge[], limit: number): { purge: PendingPurge; count: number; done: boolean }[] {
    let left = limit
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

  /** How many events one transaction puts into the index. */
  #indexable(): number {
    const { unindexed } = this.#state
    const most = Math.min(INDEX_STEP, unindexed.length)
    if (this.#state.topics.size <= INDEX_TOPICS) return most
    const topics = new Set<string>()
    for (let count = 0; count < most; count++) if (topics.add(unindexed[count]!.topic).size > INDEX_TOPICS) return count
    return most
  }

  /** Whether events have to be put into the index now. */
  get #needsIndex(): boolean {
    if (this.#isIndexing || this.#state.unindexed.length >= INDEX_STEP || this.#trimmer.needsIndex) return true
    for (const purge of this.#purges) if (this.#isUnindexed(purge)) return true
    return false
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
    const first = id === undefined ? undefined : this.#firstWith(topic, id)
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
    const size = events.put(sequence, event, time, topic.newest)
    if (event.id !== undefined) ids.putSync([event.topic, event.id], [sequence, time])
    change.append(topic, sequence, size, event.id !== undefined)
    stored.push(toStored(sequence, event, time))
    return { sequence, duplicate: false }
  }

  /** What was stored first with a publisher's id; where that is damaged, it is forgotten. */
  #firstWith(topic: string, id: string): [sequence: number, time: number] | undefined {
    const { ids, damage } = this.#tables
    try {
      return ids.get([topic, id])
    } catch (err) {
      if (!(err instanceof StoreError)) throw err
      damage.report(`the sequence of a publisher's id of the topic ${topic}`)
      return undefined
    }
  }
}

/** lmdb says why a commit failed by a promise of its own. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(() => err, (reason: unknown) => reason)
}
