/**
 * Finds the newest event of each of many topics. It uses the index, topic by topic, and skips all other events. A
 * selection with types also has to read events to learn their types.
 */
import type { Transaction } from 'lmdb'
import type { ScannedEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { Work } from '../../event-loop/time-slice.js'
import { Smallest } from '../../model/smallest.js'
import type { Page, ReadOptions } from '../log.js'
import { PageBuilder } from '../page.js'
import { GapSearch } from '../trim-marks.js'
import { TopicSequences } from './sequences.js'
import type { State } from './state.js'
import type { Snapshot, Tables } from './tables.js'
import type { Topic } from './topic.js'

/** The reads that the search uses. */
export interface NewestSource {
  /** Finds the topics of a selection that have events, step by step; `undefined` for a step without a topic. */
  matching(selection: Selection): Iterable<Topic | undefined>
  event(transaction: Transaction, sequence: number): ScannedEvent | undefined
}

/** Implements `EventLog.newest`. */
export function* searchNewest(
  source: NewestSource,
  tables: Tables,
  state: State,
  snapshot: Snapshot,
  selection: Selection,
  options: ReadOptions,
): Work<Page> {
  const { after } = options
  const until = Math.min(options.until ?? state.totals.head, state.totals.head)
  const gaps = new GapSearch(state, selection)
  yield* gaps.begin(after)
  const found = new Smallest<number>(options.events + 1, (a, b) => a - b)
  for (const topic of source.matching(selection)) {
    const sequence =
      topic && topic.newest > after
        ? yield* newestOf(source, tables, snapshot, selection, topic, after, until)
        : undefined
    if (sequence !== undefined) found.add(sequence)
    yield
  }
  gaps.advance(after)
  const page = new PageBuilder(options)
  const { events } = page
  const sequences = found.sorted()
  const taken = sequences.findIndex((sequence) => {
    const event = source.event(snapshot.transaction, sequence)
    if (!event) gaps.missed()
    return event && !page.take(event)
  })
  const more = taken >= 0
  return { events, ...gaps.result(more ? (events.at(-1)?.sequence ?? after) : Math.max(after, until), more) }
}

function* newestOf(
  source: NewestSource,
  tables: Tables,
  snapshot: Snapshot,
  selection: Selection,
  topic: Topic,
  after: number,
  until: number,
): Work<number | undefined> {
  const isWanted = (sequence: number) =>
    !selection.types || selection.hasType(source.event(snapshot.transaction, sequence)?.type)
  if (topic.newest <= until && isWanted(topic.newest)) return topic.newest
  const sequences = new TopicSequences(tables.index, topic, 'backwards', after, until)
  for (
    let sequence = sequences.next(snapshot.transaction);
    sequence !== undefined;
    sequence = sequences.next(snapshot.transaction)
  ) {
    if (isWanted(sequence)) return sequence
    yield
  }
  return undefined
}
