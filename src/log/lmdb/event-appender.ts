/** Appends events within a transaction: checks limits and publisher ids, and writes rows. */
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { HubError } from '../../model/hub-error.js'
import { conflict } from '../finite-names.js'
import { IDS_PART, tooManyIds, tooManyTopics, type Appended, type Expected, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import type { PendingAppend } from './append-queue.js'
import type { Change } from './change.js'
import type { Work } from './pages.js'
import { ATTRIBUTES_LENGTH, HEADER, ownPagesOf, toStored } from './rows.js'
import type { State } from './state.js'
import { unlessDamaged } from './store-error.js'
import type { Tables } from './tables.js'

/** LMDB's smallest page, in bytes. LMDB uses the page size of the processor. */
const SMALLEST_PAGE = 4_096
/** The space that an event takes in addition to its row, in bytes. */
const ENTRY = 32
/**
 * A payload of fewer characters counts with its largest possible size in UTF-8: measuring it costs more than the room
 * that an exact size saves.
 */
const SHORT = 512

/** A smaller log remembers as many publisher ids as a log of this size, in bytes. */
const SMALL_LOG = 1024 * 1024

export class EventAppender {
  readonly #tables: Tables
  readonly #state: State
  readonly #clock: SteadyClock
  readonly #retention: Retention

  constructor(tables: Tables, state: State, clock: SteadyClock, retention: Retention) {
    this.#tables = tables
    this.#state = state
    this.#clock = clock
    this.#retention = retention
  }

  /** Adds the largest possible cost of appending events to `work`. */
  count(events: readonly NewEvent[], work: Work): void {
    for (const { topic, type, id, attributes, payload } of events) {
      // a payload in base64 is longer than its bytes in the file
      const payloadBytes = payload.length < SHORT ? 3 * payload.length : Buffer.byteLength(payload)
      const names = 3 * (topic.length + (type?.length ?? 0) + (id?.length ?? 0))
      const ofAttributes = attributes === undefined ? 0 : ATTRIBUTES_LENGTH.bytes + Buffer.byteLength(attributes)
      countEvent(HEADER.bytes + names + ofAttributes + payloadBytes, work)
      if (id !== undefined) work.ids++
      if (!this.#state.topics.has(topic)) work.newTopics++
    }
  }

  /**
   * Appends events, all or none.
   * @param time the time of the events, in milliseconds of the wall clock
   * @param stored receives the events that were stored
   * @returns an error, with nothing changed, if the condition is not met, if a finite topic takes no such append, or if
   *   the events exceed the limit of topics or publisher ids
   */
  append(
    change: Change,
    { events, expected }: Pick<PendingAppend, 'events' | 'expected'>,
    time: number,
    stored: StoredEvent[],
  ): Appended[] | HubError {
    return (
      (expected ? this.#conflict(change, expected) : this.#state.finite.refusal(events)) ??
      this.#refusalOfIds(events) ??
      (expected ? undefined : this.#refusalOfTopics(change, events)) ??
      events.map((event) => this.#append(change, event, time, stored))
    )
  }

  #conflict(change: Change, expected: Expected): HubError | undefined {
    const newest = change.newest(expected.topic)
    return newest === expected.sequence ? undefined : conflict(expected, newest)
  }

  /** Refuses new publisher ids if the ids of removed events, kept until their window ends, take too much space. */
  #refusalOfIds(events: readonly NewEvent[]): HubError | undefined {
    if (this.#state.orphanIdBytes <= IDS_PART * Math.max(this.#retention.bytes, SMALL_LOG)) return undefined
    const index = events.findIndex((event) => event.id !== undefined && this.#first(event) === undefined)
    return index < 0 ? undefined : tooManyIds(index)
  }

  #refusalOfTopics(change: Change, events: readonly NewEvent[]): HubError | undefined {
    const { topics: limit = Infinity } = this.#retention
    if (change.topicCount + events.length <= limit) return undefined
    const added = new Set<string>()
    for (const [index, event] of events.entries()) {
      if (change.hasTopic(event.topic) || this.#first(event) !== undefined) continue
      if (change.topicCount + added.add(event.topic).size > limit) return tooManyTopics(event, index, limit)
    }
    return undefined
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

  /** Returns the sequence of the first event with the same publisher id; `undefined`: the id is not remembered. */
  #first({ topic, id }: NewEvent): number | undefined {
    const first = id === undefined ? undefined : this.#firstWith(topic, id)
    if (!first) return undefined
    const age = this.#clock.time - this.#clock.timeOf(...first)
    return age < this.#retention.dedupWindow || this.#tables.events.doesExist(first[0]) ? first[0] : undefined
  }

  /** Returns the sequence and time of the first event with a publisher id. A damaged entry counts as missing. */
  #firstWith(topic: string, id: string): [sequence: number, time: number] | undefined {
    const { ids, damage } = this.#tables
    return unlessDamaged(
      () => ids.get([topic, id]),
      () => damage.report(`the sequence of a publisher id of the topic ${topic}`),
    )
  }
}

/**
 * Adds an event to `work`.
 * @param bytes the largest possible size of its row
 */
export function countEvent(bytes: number, work: Work): void {
  const ownPages = ownPagesOf(bytes, SMALLEST_PAGE)
  work.events++
  work.ownPages += ownPages
  work.eventBytes += ownPages > 0 ? ENTRY : bytes + ENTRY
}
