/** The events that a log in memory retains: by topic, and all of them in order. */
import type { Work } from '../../event-loop/time-slice.js'
import type { Selection } from '../../model/selection.js'
import { Smallest } from '../../model/smallest.js'
import type { LogStats, TopicsOptions, TopicsPage, TopicStats } from '../log.js'
import { BRANCH_SIZE, TopicTree } from '../topic-tree.js'
import type { Trimmed } from '../trim-marks.js'
import { EventOrder } from './event-order.js'
import { EventQueue } from './event-queue.js'
import type { Walkable } from './event-walk.js'
import type { KeptEvent } from './kept-event.js'

/** A topic that has events. */
export interface TopicLog extends Trimmed {
  readonly name: string
  readonly events: EventQueue
  /** What its events take, and what it takes itself beside its place in the tree. */
  bytes: number
}

export class RetainedEvents implements Walkable {
  readonly order = new EventOrder()
  #head = 0
  #bytes = 0
  readonly #topics = new Map<string, TopicLog>()
  readonly #tree = new TopicTree<TopicLog>()

  /** The sequence of the newest event that was pushed; 0: there was none. */
  get head(): number {
    return this.#head
  }

  /** How many topics have events. */
  get topics(): number {
    return this.#topics.size
  }

  /** What the events and their topics take, in bytes, without the tree of topic names. */
  get bytes(): number {
    return this.#bytes
  }

  /** What the tree of topic names takes, in bytes. */
  get treeBytes(): number {
    return this.#tree.branches * BRANCH_SIZE
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  get(topic: string): TopicLog | undefined {
    return this.#topics.get(topic)
  }

  /**
   * Adds a topic that is about to get its first event.
   * @param trimmed how far it has been trimmed, or may have been
   */
  add(name: string, { trimmed, trimmedAt }: Trimmed): TopicLog {
    const topic: TopicLog = { name, events: new EventQueue(), bytes: topicSize(name), trimmed, trimmedAt }
    this.#bytes += topic.bytes
    this.#topics.set(name, topic)
    this.#tree.set(name, topic)
    return topic
  }

  /** Deletes a topic that has no events left. */
  delete({ name }: TopicLog): void {
    this.#bytes -= topicSize(name)
    this.#topics.delete(name)
    this.#tree.delete(name)
  }

  /** Adds an event that is newer than all others. */
  push(topic: TopicLog, event: KeptEvent): void {
    this.#head = event.sequence
    this.order.push(event)
    topic.events.push(event)
    this.#bytes += event.size
    topic.bytes += event.size
  }

  /** Takes off the oldest event of a topic; `undefined`: the topic has none. */
  shift(topic: TopicLog): KeptEvent | undefined {
    const event = topic.events.shift()
    if (!event) return undefined
    this.order.delete(event.sequence)
    this.#bytes -= event.size
    topic.bytes -= event.size
    return event
  }

  /** Finds the topics of a selection that have events, step by step; `undefined`: a step that has found none. */
  *matching(selection: Selection): Generator<TopicLog | undefined, undefined> {
    if (selection.wildcards.length > 0) yield* this.#tree.matching(selection.tree)
    else for (const name of selection.topics) yield this.#topics.get(name)
  }

  stats(): LogStats {
    return { topics: this.#topics.size, events: this.order.length, bytes: this.#bytes }
  }

  /** What is retained of a topic; `undefined`: nothing. */
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
/** What a topic takes beside its place in the tree: its name, also as segments, its entry in a table, and its queue. */
function topicSize(name: string): number {
  return TOPIC_OVERHEAD + 2 * name.length
}

/** What there is of a topic; `undefined`: nothing any more. */
function statsOf({ name, events, bytes }: TopicLog): TopicStats | undefined {
  const { length, oldest, newest } = events
  return oldest && newest && { topic: name, events: length, bytes, first: oldest.sequence, last: newest.sequence }
}
