/** Writes the content of one transaction: appends, index entries, purges, trims and records. */
import { HubError } from '../../model/hub-error.js'
import type { StoredEvent } from '../../model/event.js'
import { NO_RECORDS, type Appended, type RecordChange, type Trim } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import { ANSWER_BYTES, RESULT_BYTES, type Answers, type OriginResult } from './answers.js'
import type { PendingAppend } from './append-queue.js'
import { Change } from './change.js'
import type { EventAppender } from './event-appender.js'
import type { FolderLock } from './lock.js'
import { Work } from './pages.js'
import { writeRecords, type PendingRecord } from './pending-record.js'
import type { PendingPurge, PurgeQueue } from './purge-queue.js'
import { toReplicated, type ReplicatedChange } from './replicated-change.js'
import type { State } from './state.js'
import type { Tables } from './tables.js'
import type { Limits } from './transaction-limits.js'
import type { Trimmer } from './trimmer.js'

/** The result of a transaction. */
export interface Outcome {
  work: Work
  stored: StoredEvent[]
  /** The result of each append. A refused append has stored nothing. */
  appended: (Appended[] | HubError)[]
  records: readonly RecordChange[]
  /** Returns the change for the replicas. Call it directly after `apply`. */
  replicate: () => ReplicatedChange
  /** Makes the change the state. Call it once the transaction is durable. */
  apply: () => { trims: readonly Trim[]; purged: PendingPurge[] }
}

/** The parts of the log that a transaction uses. */
export interface TransactionParts {
  tables: Tables
  state: State
  appender: EventAppender
  purges: PurgeQueue
  trimmer: Trimmer
  clock: SteadyClock
  lock: FolderLock
  answers: Answers
}

export class TransactionBody {
  readonly #tables: Tables
  readonly #state: State
  readonly #appender: EventAppender
  readonly #purges: PurgeQueue
  readonly #trimmer: Trimmer
  readonly #clock: SteadyClock
  readonly #lock: FolderLock
  readonly #answers: Answers

  constructor({ tables, state, appender, purges, trimmer, clock, lock, answers }: TransactionParts) {
    this.#tables = tables
    this.#state = state
    this.#appender = appender
    this.#purges = purges
    this.#trimmer = trimmer
    this.#clock = clock
    this.#lock = lock
    this.#answers = answers
  }

  /** Returns the largest possible cost of appends and records. */
  workOf(appends: PendingAppend[], records: PendingRecord[]): Work {
    const work = new Work()
    work.records = records.length
    for (const { bytes } of records) work.recordBytes += bytes
    for (const { events, origin } of appends) {
      this.#appender.count(events, work)
      if (origin) countAnswer(events.length, work)
    }
    return work
  }

  /** Writes the content. Call it within the transaction. */
  write(appends: PendingAppend[], records: PendingRecord[], purges: PendingPurge[], limits: Limits): Outcome {
    this.#lock.check()
    const change = new Change(this.#state, this.#tables)
    const time = this.#clock.stamp(change.totals.head)
    const stored: StoredEvent[] = []
    const appended = appends.map((append) => this.#appender.append(change, append, time, stored))
    const answered: OriginResult[] = []
    for (const [index, { origin }] of appends.entries()) {
      const result = appended[index]!
      if (origin && !(result instanceof HubError)) answered.push({ origin, appended: result })
    }
    if (answered.length > 0) this.#answers.write(answered)
    if (limits.index > 0) change.index(limits.index)
    const purged = limits.purges > 0 ? this.#purges.step(change, purges, limits.purges) : () => []
    const trimmed = this.#trimmer.step(change, limits.trims)
    const changed = records.length > 0 ? writeRecords(records) : NO_RECORDS
    change.hasRecords = changed.length > 0
    change.write()
    const work = limits.must
    work.indexed = change.indexed
    work.topics = change.written + change.forgotten.length
    work.removals = change.removals
    return {
      work,
      stored,
      appended,
      records: changed,
      replicate: () => toReplicated(change, stored, changed),
      apply: () => {
        const trims = change.apply()
        trimmed()
        return { trims, purged: purged() }
      },
    }
  }
}

/** Adds the answer to another process to `work`: it counts as a record. */
function countAnswer(events: number, work: Work): void {
  work.records++
  work.recordBytes += ANSWER_BYTES + RESULT_BYTES * events
}
