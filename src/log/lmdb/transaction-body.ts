/** Writes the content of one transaction: appends, index entries, purges, trims and records. */
import { HubError } from '../../model/hub-error.js'
import type { StoredEvent } from '../../model/event.js'
import { type Appended, type RecordChange, type Trim } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import { ANSWER_BYTES, RESULT_BYTES, toAnswer, type Answers, type Origin, type OriginAnswer } from './answers.js'
import type { PendingAppend } from './append-queue.js'
import { Change } from './change.js'
import type { EventAppender } from './event-appender.js'
import type { FolderLock } from './lock.js'
import { Work } from './pages.js'
import type { PendingRecord } from './pending-record.js'
import type { PendingPurge, PurgeQueue, PurgeStep } from './purge-queue.js'
import { toReplicated, type ReplicatedChange } from './replicated-change.js'
import type { State } from './state.js'
import type { Tables } from './tables.js'
import type { Limits } from './transaction-limits.js'
import type { Trimmer } from './trimmer.js'

/** The requests that a transaction performs. */
export interface Requests {
  readonly appends: readonly PendingAppend[]
  readonly records: readonly PendingRecord[]
  readonly purges: readonly PendingPurge[]
}

/** The result of a transaction. */
export interface Outcome {
  work: Work
  stored: StoredEvent[]
  /** The result of each append. A refused append has stored nothing. */
  appended: (Appended[] | HubError)[]
  records: readonly RecordChange[]
  /** For each record whether the condition of its change was met. */
  written: readonly boolean[]
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

  /** Returns the largest possible cost of appends and records, and of the answers to other processes. */
  workOf({ appends, records, purges }: Requests): Work {
    const work = new Work()
    work.records = records.length
    for (const { bytes, origin } of records) {
      work.recordBytes += bytes
      if (origin) countAnswer(1, work)
    }
    for (const { events, origin } of appends) {
      this.#appender.count(events, work)
      if (origin) countAnswer(events.length, work)
    }
    for (const { origin } of purges) if (origin) countAnswer(2, work)
    return work
  }

  /** Writes the content. Call it within the transaction. */
  write({ appends, records, purges }: Requests, limits: Limits): Outcome {
    this.#lock.check()
    const change = new Change(this.#state, this.#tables)
    const time = this.#clock.stamp(change.totals.head)
    const stored: StoredEvent[] = []
    const appended = appends.map((append) => this.#appender.append(change, append, time, stored))
    if (limits.index > 0) change.index(limits.index)
    const steps = limits.purges > 0 ? this.#purges.step(change, purges, limits.purges) : []
    const trimmed = this.#trimmer.step(change, limits.trims)
    const results = records.map(({ write }) => write())
    const changed = results.filter((result) => typeof result !== 'string')
    const written = results.map((result) => result !== 'refused')
    this.#writeAnswers({ appends, records }, { appended, written, steps })
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
      written,
      replicate: () => toReplicated(change, stored, changed),
      apply: () => {
        const trims = change.apply()
        trimmed()
        return { trims, purged: this.#purges.apply(steps) }
      },
    }
  }

  /** Stores the answers to other processes. A refused write has changed nothing, and may be performed again. */
  #writeAnswers(
    { appends, records }: Omit<Requests, 'purges'>,
    { appended, written, steps }: Pick<Outcome, 'appended' | 'written'> & { steps: readonly PurgeStep[] },
  ): void {
    const answers: OriginAnswer[] = []
    for (const [index, { origin }] of appends.entries()) {
      const result = appended[index]!
      if (origin && !(result instanceof HubError)) answers.push({ origin, answer: toAnswer(result) })
    }
    for (const [index, { origin }] of records.entries())
      if (origin && written[index]) answers.push({ origin, answer: true })
    for (const step of steps) if (step.purge.origin) this.#answerPurge(step, step.purge.origin, answers)
    if (answers.length > 0) this.#answers.write(answers)
  }

  #answerPurge({ purge: { until, purged }, count, isDone }: PurgeStep, origin: Origin, answers: OriginAnswer[]): void {
    if (isDone) answers.push({ origin, answer: purged + count })
    else if (count > 0) this.#answers.keepPurge(origin, { until, purged: purged + count })
  }
}

/**
 * Adds the answer to another process to `work`: it counts as a record.
 * @param results the number of its numbers
 */
function countAnswer(results: number, work: Work): void {
  work.records++
  work.recordBytes += ANSWER_BYTES + RESULT_BYTES * results
}
