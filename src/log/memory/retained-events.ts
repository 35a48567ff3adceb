/** The events that a memory log retains: by topic, and all of them in order. */
import type { Work } from '../../event-loop/time-slice.js'
import type { Selection } from '../../model/selection.js'
import { Smallest } from '../../model/smallest.js'
import type { LogStats, TopicsOptions, TopicsPage, TopicStats } from '../log.js'
import { FiniteNames } from '../finite-names.js'
import { BRANCH_SIZE, TopicTree } from '../topic-tree.js'
import type { Trimmed } from '../trim-marks.js'
import { EventOrder } from './event-order.js'
import { EventQueue } from './event-queue.js'
import type { Walkable } from './event-walk.js'
import type { KeptEvent } from './kept-event.js'

/** A topic with events. */
export interface TopicLog extends Trimmed {
  readonly name: string
  readonly events: EventQueue
  /** The bytes of its events, and of the topic itself without its branch in the tree. */
  bytes: number
}

export class RetainedEvents implements Walkable {
  readonly order = new EventOrder()
  /** The topics whose events are not trimmed. */
  readonly finite: FiniteNames
  /** Every event up to this sequence belongs to a finite topic, as long as `finite.removals` has this value. */
  #passed = { sequence: 0, removals: 0 }
  #head = 0
  #bytes = 0
  readonly #topics = new Map<string, TopicLog>()
  readonly #tree = new TopicTree<TopicLog>()
  readonly #topicSize: (name: string) => number

  /** @param sizeOf returns the bytes of a topic besides its events */
  constructor(sizeOf = topicSize, finite = new FiniteNames()) {
    this.finite = finite
    this.#topicSize = sizeOf
  }

  /** The sequence of the newest event that was pushed; 0: none was. */
  get head(): number {
    return this.#head
  }

  /** The number of topics with events. */
  get topics(): number {
    return this.#topics.size
  }

  /** The bytes of the events and their topics, without the tree of topic names. */
  get bytes(): number {
    return this.#bytes
  }

  /** The bytes of the tree of topic names. */
  get treeBytes(): number {
    return this.#tree.branches * BRANCH_SIZE
  }

  /** The oldest event that may be trimmed. */
  get oldest(): KeptEvent | undefined {
    const { order, finite } = this
    if (this.#passed.removals !== finite.removals) this.#passed = { sequence: 0, removals: finite.removals }
    const passed = this.#passed
    let event = passed.sequence === 0 ? order.oldest : order.after(passed.sequence)
    for (; event && finite.has(event.topic); event = order.after(event.sequence)) passed.sequence = event.sequence
    return event
  }

  /** Returns the names of the topics with events. */
  names(): string[] {
    return [...this.#topics.keys()]
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  get(topic: string): TopicLog | undefined {
    return this.#topics.get(topic)
  }

  /**
   * Adds a topic before its first event.
   * @param trimmed the trim mark of the topic, or the latest that it may have
   */
  add(name: string, { trimmed, trimmedAt }: Trimmed): TopicLog {
    const topic: TopicLog = { name, events: new EventQueue(), bytes: this.#topicSize(name), trimmed, trimmedAt }
    this.#bytes += topic.bytes
    this.#topics.set(name, topic)
    this.#tree.set(name, topic)
    return topic
  }

  /** Deletes a topic without events. */
  delete({ name }: TopicLog): void {
    this.#bytes -= this.#topicSize(name)
    this.#topics.delete(name)
    this.#tree.delete(name)
  }

  /** Adds an event with a greater sequence than all others. */
  push(topic: TopicLog, event: KeptEvent): void {
    this.#head = event.sequence
    this.order.push(event)
    topic.events.push(event)
    this.#bytes += event.size
    topic.bytes += event.size
  }

  /** Removes the oldest event of a topic and returns it; `undefined`: the topic has none. */
  shift(topic: TopicLog): KeptEvent | undefined {
    const event = topic.events.shift()
    if (!event) return undefined
    this.order.delete(event.sequence)
    this.#bytes -= event.size
    topic.bytes -= event.size
    return event
  }

  /** Finds the topics of a selection that have events, step by step; `undefined`: the step has found none. */
  *matching(selection: Selection): Generator<TopicLog | undefined, undefined> {
    if (selection.wildcards.length > 0) yield* this.#tree.matching(selection.tree)
    else for (const name of selection.topics) yield this.#topics.get(name)
  }

  stats(): LogStats {
    return { topics: this.#topics.size, events: this.order.length, bytes: this.#bytes }
  }

  /** Returns the statistics of a topic; `undefined`: nothing of it is retained. */
  statsOf(topic: string): TopicStats | undefined {
    const found = this.#topics.get(topic)
    return found && statsOf(found)
  }

  /** As `EventLog.topics`. */
  *list({ prefix = '', after = '', limit }: TopicsOptions, accepts: (name: string) => boolean): Work<TopicsPage> {
    const first = new Smallest<TopicLog>(limit + 1, (a, b) => (a.name < b.name ? -1 : 1))
    for (const topic of this.#topics.values()) {
      const { name } = topic
      if (name > after && name.startsWith(prefix) && first.takes(topic) && accepts(name)) first.add(topic)
      yield
    }
    const topics = first.sorted()
    return {
      topics: topics
        .slice(0, limit)
        .map(statsOf)
        .filter((topic) => topic !== undefined),
      more: topics.length > limit,
    }
  }
}

const TOPIC_OVERHEAD = 300
/**
 * Returns the bytes of a topic without its branch in the tree: its name, also as segments, its entry in a table, and
 * its queue.
 */
function topicSize(name: string): number {
  return TOPIC_OVERHEAD + 2 * name.length
}

/** Returns the statistics of a topic; `undefined`: it has no events. */
function statsOf({ name, events, bytes }: TopicLog): TopicStats | undefined {
  const { length, oldest, newest } = events
  return oldest && newest && { topic: name, events: length, bytes, first: oldest.sequence, last: newest.sequence }
}
