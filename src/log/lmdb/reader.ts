/**
 * Reads the tables. The cost follows the size of the result: the index finds the events of each topic, and the reader
 * merges them in log order. Each read can pause at every `yield`, and continues on another snapshot.
 */
import type { Transaction } from 'lmdb'
import type { Selection } from '../../model/selection.js'
import type { Work } from '../../event-loop/time-slice.js'
import type { ScannedEvent } from '../../model/event.js'
import type { Page, ReadOptions, ScanResult, Span, TopicsOptions, TopicsPage, TopicStats } from '../log.js'
import { GapSearch } from '../trim-marks.js'
import { searchNewest } from './newest.js'
import { LogSequences, MergedSequences, TopicSequences, type Direction, type Sequences } from './sequences.js'
import type { State } from './state.js'
import type { Snapshot, Tables } from './tables.js'
import type { Topic } from './topic.js'
import { Chain } from './topic-chain.js'

/** The most events that one scan reads, matching or not. The result then says that there is more. */
const MAX_READ = 20_000
/** The number of topic names that are fetched at once. */
const NAMES = 64
/** The sequences of up to this many topics are always merged. */
const MERGED_TOPICS = 100
/** The cost of finding the first event of a topic in the index, in reads of events. */
const TOPIC_COST = 4
/** The usual number of events of a page. */
const PAGE = 1_000

export class Reader {
  readonly #tables: Tables
  readonly #state: State

  constructor(tables: Tables, state: State) {
    this.#tables = tables
    this.#state = state
  }

  /** Implements `EventLog.scan`. */
  *scan(
    snapshot: Snapshot,
    selection: Selection,
    { after, until = this.#state.totals.head }: Span,
    visit: (event: ScannedEvent) => boolean,
  ): Work<ScanResult> {
    const gaps = new GapSearch(this.#state, selection)
    yield* gaps.begin(after)
    if (after < this.#state.lost) gaps.missed()
    const { sequences, isWhole, topics } = yield* this.#sequences(snapshot, selection, 'forwards', after, until)
    const chain = new Chain(this.#state, this.#tables.damage, after)
    let position = after
    for (let looked = 0; ; looked++) {
      gaps.advance(position)
      const sequence = sequences.next(snapshot.transaction)
      if (sequence === undefined) break
      if (looked >= MAX_READ) return gaps.result(position, true)
      const event = this.event(snapshot.transaction, sequence)
      const isOfTopic = event && selection.hasTopic(event.topic)
      if (!event || !(isWhole || isOfTopic)) {
        // The event was trimmed after its sequence was fetched, or is missing or damaged, or the index lists it under
        // another topic. `chain` reports events that are missing below the newest trimmed one.
        if (event || sequence > this.#state.newestTrimmed) this.#tables.damage.report(`the lookup of event ${sequence}`)
        gaps.missed()
      }
      if (isOfTopic && !chain.follows(event.topic, sequence, this.#tables.events.previous)) gaps.missed()
      const isWanted = isOfTopic && selection.hasType(event.type)
      if (isWanted && !visit(event)) return gaps.result(position, true)
      position = sequence
      yield
    }
    for (const { name } of topics) {
      const topic = this.#state.topics.get(name) // its current state: the scan may have paused
      if (topic && !chain.reached(topic, until)) gaps.missed()
      yield
    }
    gaps.advance(position)
    return gaps.result(Math.max(after, until), false)
  }

  /** Returns the sequence of the oldest event; `undefined` if the log is empty. */
  oldest(): number | undefined {
    return [...this.#tables.events.keys({ limit: 1 })][0]
  }

  /** Returns the newest sequence of a retained event up to `until`; `undefined` if there is none. */
  newestUntil(until: number): number | undefined {
    return [...this.#tables.events.keys({ start: until, reverse: true, limit: 1 })][0]
  }

  /** Visits the sequence and time of every event up to a sequence. */
  *times(snapshot: Snapshot, until: number, visit: (sequence: number, time: number) => void): Work<void> {
    const sequences = new LogSequences(this.#tables.events, 'forwards', 0, until)
    for (
      let sequence = sequences.next(snapshot.transaction);
      sequence !== undefined;
      sequence = sequences.next(snapshot.transaction)
    ) {
      const event = this.event(snapshot.transaction, sequence)
      if (event) visit(sequence, event.time)
      yield
    }
  }

  /** Implements `EventLog.locate` for `newest`. */
  *before(snapshot: Snapshot, selection: Selection, count: number, until = this.#state.totals.head): Work<number> {
    if (count === 0) return until
    const { sequences, isWhole } = yield* this.#sequences(snapshot, selection, 'backwards', 0, until)
    const mustRead = isWhole || selection.types !== undefined
    let found = 0
    for (
      let sequence = sequences.next(snapshot.transaction);
      sequence !== undefined;
      sequence = sequences.next(snapshot.transaction)
    ) {
      const event = mustRead ? this.event(snapshot.transaction, sequence) : undefined
      const isWanted =
        !mustRead || (event && selection.hasType(event.type) && (!isWhole || selection.hasTopic(event.topic)))
      if (isWanted && ++found === count) return sequence - 1
      yield
    }
    return 0
  }

  /** Implements `EventLog.newest`. */
  newest(snapshot: Snapshot, selection: Selection, options: ReadOptions): Work<Page> {
    return searchNewest(this, this.#tables, this.#state, snapshot, selection, options)
  }

  /** Implements `EventLog.topic`. */
  topic(transaction: Transaction, name: string): TopicStats | undefined {
    const topic = this.#state.topics.get(name)
    if (!topic) return undefined
    const { id, events, bytes, newest, recent } = topic
    const [oldest] = this.#tables.index.getKeys({ start: [id, 0], end: [id, Infinity], limit: 1, transaction })
    return { topic: name, events, bytes, first: oldest?.[1] ?? recent[0] ?? newest, last: newest }
  }

  /** Implements `EventLog.topics`. */
  *topics(
    snapshot: Snapshot,
    { prefix = '', after = '', limit }: TopicsOptions,
    accepts: (name: string) => boolean,
  ): Work<TopicsPage> {
    const topics: TopicStats[] = []
    for (let last = after, start = after > prefix ? after : prefix; ; start = last) {
      const names = [...this.#tables.topics.getKeys({ start, limit: NAMES, transaction: snapshot.transaction })]
      for (const name of names) {
        if (name === last) continue
        last = name
        if (!name.startsWith(prefix)) return { topics, more: false }
        const topic = accepts(name) ? this.topic(snapshot.transaction, name) : undefined
        if (topic && topics.length === limit) return { topics, more: true }
        if (topic) topics.push(topic)
        yield
      }
      if (names.length < NAMES) return { topics, more: false }
    }
  }

  /** Finds the topics of a selection that have events, step by step; `undefined` for a step without a topic. */
  *matching(selection: Selection): Generator<Topic | undefined, undefined> {
    const { topics, names } = this.#state
    if (selection.wildcards.length === 0) for (const name of selection.topics) yield topics.get(name)
    else for (const name of names.matching(selection.tree)) yield name === undefined ? undefined : topics.get(name)
  }

  /** Returns the event of a sequence. The next read overwrites its payload. */
  event(transaction: Transaction, sequence: number): ScannedEvent | undefined {
    return this.#tables.events.view(sequence, transaction)
  }

  /**
   * Returns the ordered sequences of the topics of a selection, and these topics. With `isWhole`, they are the
   * sequences of the whole log, which are cheaper to read if many topics match or few other events lie between.
   */
  *#sequences(
    snapshot: Snapshot,
    selection: Selection,
    direction: Direction,
    after: number,
    until: number,
  ): Work<{ sequences: Sequences; isWhole: boolean; topics: readonly Topic[] }> {
    const { index, events } = this.#tables
    const topics: Topic[] = []
    let count = 0
    for (const topic of this.matching(selection)) {
      if (topic && topic.newest > after) {
        topics.push(topic)
        count += topic.events
      }
      yield
    }
    if (topics.length > MERGED_TOPICS) {
      const lookedAt = Math.min(until - after, (PAGE * this.#state.totals.events) / Math.max(1, count))
      if (lookedAt < topics.length * TOPIC_COST)
        return { sequences: new LogSequences(events, direction, after, until), isWhole: true, topics }
    }
    const merged = new MergedSequences(direction)
    for (const topic of topics) {
      merged.add(new TopicSequences(index, topic, direction, after, until), snapshot.transaction)
      yield
    }
    return { sequences: merged, isWhole: false, topics }
  }
}
