/** Reads of the tables that cost what they return: by topic through the index, of several topics merged in log order. */
import type { Transaction } from 'lmdb'
import type { Selection } from '../../hub/selection.js'
import type { NewestWanted, Page, ReadOptions, Shown, ShownEvent, Span, TopicsOptions, TopicStats } from '../log.js'
import { PageBuilder } from '../page-builder.js'
import { NewestSearch } from './newest.js'
import { readInPlace } from './row-in-place.js'
import { toEvent } from './rows.js'
import { backwards, forwards, merge, wantedOf, type Sequences } from './sequences.js'
import type { State, Topic } from './state.js'
import type { Tables } from './store.js'

/** A page looks at no more events than this, however few of them match: it is then short, and says that there is more. */
const LOOKED_AT = 20_000
/** As many names of topics are looked at in one turn of the event loop. */
const LOOKED_AT_NAMES = 5_000
/** Of more topics than this it can be cheaper to read the log from end to end than to merge their indexes. */
const MERGED_TOPICS = 100
/** That is so when at least one event in so many matches. */
const SCAN_DENSITY = 20

export class Reader {
  readonly #tables: Tables
  readonly #state: State

  constructor(tables: Tables, state: State) {
    this.#tables = tables
    this.#state = state
  }

  read(transaction: Transaction, selection: Selection, options: ReadOptions): Page {
    const page = new PageBuilder(options)
    const shown = this.show(transaction, selection, options, (event) => page.take(event))
    return { events: page.events, ...shown }
  }

  /** As `EventLog.show`. */
  show(transaction: Transaction, selection: Selection, { after, until = this.#state.totals.head }: Span, see: (event: ShownEvent) => boolean): Shown {
    let gap = this.hasTrimmed(selection, after)
    const topics = this.#selected(selection).filter((topic) => topic.newest > after)
    const scan = this.#isDense(topics)
    const sequences = scan ? this.#scan(transaction, after, until) : this.#merge(transaction, topics, after, until)
    let position = after
    try {
      let looked = 0
      for (let next = sequences.next(); !next.done; next = sequences.next()) {
        if (looked++ >= LOOKED_AT) return { position, more: true, gap }
        const event = this.#event(transaction, next.value)
        gap ||= event === undefined // a damaged file: what the index names is not there
        const isWanted = event && selection.hasType(event.type) && (!scan || selection.hasTopic(event.topic))
        if (isWanted && !see(event)) return { position, more: true, gap }
        position = next.value
      }
    } finally {
      sequences.return?.()
    }
    return { position: Math.max(after, until), more: false, gap }
  }

  #event(transaction: Transaction, sequence: number): ShownEvent | undefined {
    const { events } = this.#tables
    const row = events.getBinaryFast(sequence, { transaction })
    return row && (readInPlace(sequence, asBuffer(row)) ?? toEvent(sequence, events.get(sequence, { transaction })!))
  }

  /** The sequence before the newest `count` events that match. */
  before(transaction: Transaction, selection: Selection, count: number, newestWanted?: NewestWanted): number {
    const { head } = this.#state.totals
    if (count === 0) return head
    const sequences = this.#mergeBackwards(transaction, this.#selected(selection), head, newestWanted)
    let found = 0
    try {
      for (let next = sequences.next(); !next.done; next = sequences.next()) {
        if (selection.types && !selection.hasType(this.#tables.events.get(next.value, { transaction })?.[3] ?? undefined)) continue
        if (++found === count) return next.value - 1
      }
    } finally {
      sequences.return?.()
    }
    return 0
  }

  /** Looks for the newest event of each topic of a selection. */
  newest(selection: Selection, { after, until, events, bytes = Infinity }: ReadOptions & { until: number }): NewestSearch {
    const topics = this.#selected(selection).filter(({ newest }) => newest > after).map(({ name }) => name)
    return new NewestSearch(this.#tables, this.#state, selection, topics, { after, until, events, bytes })
  }

  /** What there is of a topic. */
  topic(transaction: Transaction, name: string): TopicStats | undefined {
    const topic = this.#state.topics.get(name)
    if (!topic) return undefined
    const { id, events, bytes, newest, recent } = topic
    const [oldest] = this.#tables.index.getKeys({ start: [id, 0], end: [id, Infinity], limit: 1, transaction })
    return { topic: name, events, bytes, first: oldest?.[1] ?? recent[0] ?? newest, last: newest }
  }

  /**
   * Lists topics in the order of their names, and looks at no more than so many names.
   * @returns the topics, one more than the limit when there are more; and the name that was looked at last, when there are
   * names left to look at
   */
  topics(transaction: Transaction, { prefix = '', after = '', limit }: TopicsOptions, accepts: (name: string) => boolean): { topics: TopicStats[]; seen: string | undefined } {
    const topics: TopicStats[] = []
    let looked = 0
    for (const name of this.#tables.topics.getKeys({ start: after > prefix ? after : prefix, transaction })) {
      if (name === after) continue
      if (!name.startsWith(prefix) || topics.length > limit) break
      if (accepts(name)) topics.push(this.topic(transaction, name)!)
      if (++looked >= LOOKED_AT_NAMES) return { topics, seen: name }
    }
    return { topics, seen: undefined }
  }

  #selected(selection: Selection): Topic[] {
    const { topics } = this.#state
    if (selection.wildcards.length > 0) return [...topics.values()].filter(({ name }) => selection.hasTopic(name))
    return selection.topics.map((name) => topics.get(name)).filter((topic) => topic !== undefined)
  }

  #isDense(topics: Topic[]): boolean {
    if (topics.length <= MERGED_TOPICS) return false
    return topics.reduce((sum, { events }) => sum + events, 0) * SCAN_DENSITY >= this.#state.totals.events
  }

  #scan(transaction: Transaction, after: number, until: number): Sequences {
    return this.#tables.events.getKeys({ start: after + 1, end: until + 1, transaction })[Symbol.iterator]()
  }

  #merge(transaction: Transaction, topics: Topic[], after: number, until: number): Sequences {
    const { index } = this.#tables
    return merge(topics.map((topic) => forwards(index, transaction, topic, after, until)), (a, b) => a - b)
  }

  #mergeBackwards(transaction: Transaction, topics: Topic[], head: number, newestWanted?: NewestWanted): Sequences {
    const { index } = this.#tables
    const lists = topics.map((topic) => {
      const from = (until: number) => backwards(index, transaction, topic, until)
      return newestWanted ? wantedOf(from, (sequence) => newestWanted(topic.name, sequence), head) : from(head)
    })
    return merge(lists, (a, b) => b - a)
  }

  /** Whether anything that may have matched, behind `after`, has been trimmed since `trims` had a value. */
  hasTrimmed(selection: Selection, after: number, since = -1): boolean {
    const { totals, topics } = this.#state
    if (after >= totals.trimmed) return false
    const isGone = (trimmed: number, trimmedAt: number) => trimmed > after && trimmedAt > since
    if (selection.topics.some((name) => isGone(...this.#trimmedOf(name)))) return true
    if (selection.wildcards.length === 0) return false
    if (isGone(totals.forgotten, this.#state.forgottenAt)) return true
    for (const topic of topics.values()) if (isGone(topic.trimmed, topic.trimmedAt) && selection.hasTopic(topic.name)) return true
    for (const { key, value } of this.#tables.emptiedBySequence.getRange({ start: after + 1 })) {
      if (isGone(key, this.#state.emptiedAt.get(value) ?? 0) && selection.hasTopic(value)) return true
    }
    return false
  }

  #trimmedOf(name: string): [trimmed: number, trimmedAt: number] {
    const topic = this.#state.topics.get(name)
    if (topic) return [topic.trimmed, topic.trimmedAt]
    const emptied = this.#tables.emptied.get(name)
    return emptied ? [emptied[1], this.#state.emptiedAt.get(name) ?? 0] : [this.#state.totals.forgotten, this.#state.forgottenAt]
  }
}

/** A Buffer of lmdb's has a length of its own, so it is left as it is. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
