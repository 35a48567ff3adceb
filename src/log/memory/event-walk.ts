/**
 * Walks through the events of a selection in order. A few topics are merged; where many match, the whole log is looked
 * at in its own order, so that a wide pattern costs what lies in its way, however many topics there are.
 */
import TinyQueue from 'tinyqueue'
import type { StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { EventOrder } from './event-order.js'
import type { EventQueue } from './event-queue.js'

/** A page looks at no more events than this, however few of them match. */
export const LOOKED_AT = 20_000
/** Topics that are found within so many steps are merged. */
const FEW_STEPS = 256
/** After so many events of the log it is seen how many of them match. */
const PROBE = 1_000
/** Where fewer than one event of so many matches, the topics are merged if they are found. */
const SPARSE = 8
/** Topics that are found within so many steps are merged where few events match: a page looks at as many events. */
const MANY_STEPS = LOOKED_AT

/** The events of a topic while they are merged. */
interface Cursor {
  readonly events: EventQueue
  /** In the queue. */
  index: number
  event: StoredEvent
}

/** What a log has to walk through. */
export interface Walkable {
  readonly order: EventOrder
  /** Finds the topics of a selection that have events, step by step; `undefined`: a step that has found none. */
  matching(selection: Selection): Generator<Topic | undefined, undefined>
}

/** A topic that has events. */
interface Topic {
  readonly events: EventQueue
}

/** The part of the log that is walked through. */
export interface WalkedSpan {
  after: number
  until: number
}

/** Which way: from the oldest event on, or from the newest on. */
export type Direction = 'forwards' | 'backwards'

/** The topics of a selection; `undefined`: patterns take more steps to find them. */
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
  /** Every event before it (backwards: behind it) has been walked past. */
  position: number
  /** How many events have been looked at, also of other topics. */
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

  /** The events of the selection's topics, of whatever type, step by step; `undefined`: a step that has found none. */
  *events(): Generator<StoredEvent | undefined, undefined> {
    const few = yield* topicsWithin(FEW_STEPS, this.#log, this.#selection)
    if (few) return yield* this.#merge(few)
    if (yield* this.#scan(PROBE)) return
    const topics = yield* topicsWithin(MANY_STEPS, this.#log, this.#selection)
    if (topics) yield* this.#merge(topics)
    else yield* this.#scan(Infinity)
  }

  /**
   * Looks at every event of the log.
   * @param probe after how many events it stops, when few of them match
   * @returns whether it has come to the end
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

  /** The event of the log that comes next. */
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
      const isThere = cursor.index >= events.first // it may have been trimmed since it was looked up
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
