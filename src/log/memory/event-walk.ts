/**
 * Walks through the events of a selection in order. It merges the topics if they are few. Otherwise it scans the whole
 * log, so that the cost of a wide pattern depends on the events that it passes, not on the number of topics.
 */
import TinyQueue from 'tinyqueue'
import type { StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { EventOrder } from './event-order.js'
import type { EventQueue } from './event-queue.js'

/** The maximum number of events that a page visits, whether they match or not. */
export const LOOKED_AT = 20_000
/** Topics that are found within this many steps are merged. */
const FEW_STEPS = 256
/** After this many visited events, the walk checks how many of them match. */
const PROBE = 1_000
/** If fewer than one in this many events matches, the topics are merged, provided that they are found. */
const SPARSE = 8
/** If few events match, topics that are found within this many steps are merged: a page visits as many events. */
const MANY_STEPS = LOOKED_AT

/** The next event of a topic during a merge. */
interface Cursor {
  readonly events: EventQueue
  /** The index of the event in the queue. */
  index: number
  event: StoredEvent
}

/** The parts of a log that a walk needs. */
export interface Walkable {
  readonly order: EventOrder
  /** Finds the topics of a selection that have events, step by step; `undefined`: the step has found none. */
  matching(selection: Selection): Generator<Topic | undefined, undefined>
}

/** A topic with events. */
interface Topic {
  readonly events: EventQueue
}

/** The part of the log to walk through. */
export interface WalkedSpan {
  after: number
  until: number
}

/** The order of the walk: oldest event first, or newest event first. */
export type Direction = 'forwards' | 'backwards'

/** Finds the topics of a selection; `undefined`: finding them takes more steps. */
export function* topicsWithin(
  steps: number,
  log: Walkable,
  selection: Selection,
): Generator<undefined, Topic[] | undefined> {
  const topics: Topic[] = []
  let step = 0
  for (const topic of log.matching(selection)) {
    if (++step > steps && selection.wildcards.length > 0) return undefined
    if (topic) topics.push(topic)
    yield
  }
  return topics
}

export class EventWalk {
  /** The walk has passed every event up to this sequence (backwards: from this sequence on). */
  position: number
  /** The number of visited events, over all topics. */
  looked = 0
  readonly #log: Walkable
  readonly #selection: Selection
  readonly #isForwards: boolean
  readonly #span: WalkedSpan

  constructor(log: Walkable, selection: Selection, direction: Direction, span: WalkedSpan) {
    this.#log = log
    this.#selection = selection
    this.#isForwards = direction === 'forwards'
    this.#span = { ...span }
    this.position = this.#isForwards ? span.after : span.until + 1
  }

  /** Yields the events of the selection's topics, of any type; `undefined`: the step has found none. */
  *events(): Generator<StoredEvent | undefined, undefined> {
    const few = yield* topicsWithin(FEW_STEPS, this.#log, this.#selection)
    if (few) return yield* this.#merge(few)
    if (yield* this.#scan(PROBE)) return
    const topics = yield* topicsWithin(MANY_STEPS, this.#log, this.#selection)
    if (topics) yield* this.#merge(topics)
    else yield* this.#scan(Infinity)
  }

  /**
   * Visits every event of the log.
   * @param probe the number of events after which it stops if few of them match
   * @returns whether it has reached the end
   */
  *#scan(probe: number): Generator<StoredEvent | undefined, boolean> {
    let matched = 0
    let left = probe
    for (let event = this.#next(); event; event = this.#next()) {
      this.position = event.sequence
      this.looked++
      const isOfTopic = this.#selection.hasTopic(event.topic)
      if (isOfTopic) matched++
      yield isOfTopic ? event : undefined
      if (--left === 0 && matched * SPARSE < probe) return false
    }
    return true
  }

  /** Returns the next event of the log. */
  #next(): StoredEvent | undefined {
    const { order } = this.#log
    const event = this.#isForwards ? order.after(this.position) : order.before(this.position)
    return event && this.#isWithin(event) ? event : undefined
  }

  *#merge(topics: readonly Topic[]): Generator<StoredEvent | undefined, undefined> {
    const sign = this.#isForwards ? 1 : -1
    const merge = new TinyQueue<Cursor>([], (a, b) => sign * (a.event.sequence - b.event.sequence))
    for (const { events } of topics) {
      const index = this.#isForwards ? events.indexAfter(this.position) : events.indexAfter(this.position - 1) - 1
      const event = events.at(index)
      if (event && this.#isWithin(event)) merge.push({ events, index, event })
      yield
    }
    for (let cursor = merge.pop(); cursor; cursor = merge.pop()) {
      const { events, event } = cursor
      const isThere = cursor.index >= events.first // the event may have been trimmed since the lookup
      if (isThere) this.looked++
      this.position = event.sequence
      yield isThere ? event : undefined
      cursor.index = this.#isForwards ? Math.max(cursor.index + 1, events.first) : cursor.index - 1
      const next = events.at(cursor.index)
      if (!next || !this.#isWithin(next)) continue
      cursor.event = next
      merge.push(cursor)
    }
  }

  #isWithin({ sequence }: StoredEvent): boolean {
    return sequence > this.#span.after && sequence <= this.#span.until
  }
}
