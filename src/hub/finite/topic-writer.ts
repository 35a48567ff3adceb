/**
 * Appends to one finite topic. The appends that wait share one transaction of the log, which fails if another process
 * has appended first: then they are decided again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { HubError } from '../../model/hub-error.js'
import type { EventLog } from '../../log/log.js'
import type { Intake } from '../intake.js'
import type { Timing } from '../latency.js'
import { Admission, type Admitted, type Request, type SizeLimits } from './admission.js'
import type { Entry } from './entry.js'
import type { AppendAnswer } from './finite-topic.js'

/** The size at which a group takes no further append. */
const GROUP_EVENTS = 1_000
const GROUP_CHARACTERS = 4 * 1024 * 1024
/** After so many appends of other processes that came first, an append is refused. */
const ATTEMPTS = 100

interface Pending {
  request: Request
  timing: Timing | undefined
  resolve: (answer: AppendAnswer) => void
  reject: (err: unknown) => void
}

export interface WriterSource {
  log: EventLog
  /** Counts the events of each append. */
  intake: Intake
  limits: SizeLimits
  /** Resolves when this process has every event that was stored before the call. */
  catchUp: () => Promise<void>
  /** @throws FiniteTopicError if the topic no longer takes appends */
  requireWritable: (entry: Entry) => void
}

export class TopicWriter {
  readonly #entry: Entry
  readonly #source: WriterSource
  #queue: Pending[] = []
  #running = false

  constructor(entry: Entry, source: WriterSource) {
    this.#entry = entry
    this.#source = source
  }

  append(request: Request): Promise<AppendAnswer> {
    const hasEvents = request.messages.length > 0 || request.end !== undefined
    const timing = hasEvents ? this.#source.intake.time() : undefined
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, timing, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    await nextTurn() // the appends of one turn share a transaction
    while (this.#queue.length > 0) {
      const group = this.#take()
      try {
        await this.#store(group)
      } catch (err) {
        for (const { reject } of group) reject(err)
      }
    }
    this.#running = false
  }

  #take(): Pending[] {
    let events = 0
    let characters = 0
    let taken = 0
    while (taken < this.#queue.length && (taken === 0 || (events < GROUP_EVENTS && characters < GROUP_CHARACTERS))) {
      const { messages } = this.#queue[taken]!.request
      if (taken > 0 && events + messages.length >= GROUP_EVENTS) break
      taken++
      events += messages.length + 1
      for (const { payload } of messages) characters += payload.length
    }
    return this.#queue.splice(0, taken)
  }

  /** @throws HubError if no append of the group is stored */
  async #store(group: readonly Pending[]): Promise<void> {
    const { log, intake, catchUp, requireWritable, limits } = this.#source
    const entry = this.#entry
    for (let attempt = 0; ; attempt++) {
      requireWritable(entry)
      const fold = entry.fold!
      const admission = new Admission(entry.describe(), fold, limits)
      const outcomes = group.map(({ request }) => outcomeOf(admission, request))
      const events = outcomes.flatMap((outcome) => ('events' in outcome ? outcome.events : []))
      try {
        const expected = { topic: entry.topic, sequence: fold.newest }
        const appended =
          events.length > 0 ? intake.stored(await log.append(events, { expected }), events.length, undefined) : []
        return this.#answer(
          group,
          outcomes,
          appended.map(({ sequence }) => sequence),
        )
      } catch (err) {
        if (!(err instanceof HubError)) throw err
        err.index = undefined // the appends of several callers have no common list
        if (err.code !== 'append-conflict' || attempt >= ATTEMPTS) throw err
        await catchUp()
      }
    }
  }

  #answer(group: readonly Pending[], outcomes: readonly Outcome[], sequences: readonly number[]): void {
    const { intake } = this.#source
    let next = 0
    for (const [index, { request, timing, resolve, reject }] of group.entries()) {
      const outcome = outcomes[index]!
      if (!('events' in outcome)) {
        reject(outcome.refusal)
        continue
      }
      const { events, duplicate, producer } = outcome
      const topic = this.#entry.describe()
      if (duplicate) intake.repeated(request.messages.length + Number(request.end !== undefined))
      else if (timing && events.length > 0) intake.finished(topic.topic, timing)
      const own = sequences.slice(next, (next += events.length)).slice(0, request.messages.length)
      const tail = own.at(-1) ?? topic.tail
      const isOpen = request.end === undefined && !duplicate
      resolve({
        topic: { ...topic, tail, ...(isOpen ? { status: 'open' as const } : {}) },
        duplicate,
        ...(producer ? { producer } : {}),
      })
    }
  }
}

type Outcome = Admitted | { refusal: unknown }

function outcomeOf(admission: Admission, request: Request): Outcome {
  try {
    return admission.admit(request)
  } catch (refusal) {
    return { refusal }
  }
}
