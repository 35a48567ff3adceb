/** Finds the newest event of each of many topics while the log changes. */
import type { Work } from '../../event-loop/time-slice.js'
import type { StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import { Smallest } from '../../model/smallest.js'
import type { Page, ReadOptions } from '../log.js'
import { PageBuilder } from '../page.js'
import { GapSearch, type TrimHistory } from '../trim-marks.js'
import type { EventQueue } from './event-queue.js'
import { LOOKED_AT, topicsWithin } from './event-walk.js'
import type { RetainedEvents } from './retained-events.js'

/** As `EventLog.newest`. Visits topic by topic if that costs less than scanning a page of the log. */
export function* searchNewest(
  retained: RetainedEvents,
  history: TrimHistory,
  selection: Selection,
  options: ReadOptions,
): Work<Page> {
  const { after, until = retained.head, ...limits } = options
  const topics = yield* topicsWithin(Math.sqrt(limits.events * retained.order.length), retained, selection)
  if (!topics) return yield* searchInOrder(retained, history, selection, options)
  const end = Math.min(until, retained.head)
  const gaps = new GapSearch(history, selection)
  yield* gaps.begin(after)
  const newest = new Smallest<StoredEvent>(limits.events + 1, (a, b) => a.sequence - b.sequence)
  for (const { events } of topics) {
    const event = yield* newestOf(events, selection, after, end)
    if (event) newest.add(event)
    yield
  }
  gaps.advance(after)
  const page = new PageBuilder(limits)
  const { events } = page
  const more = newest.sorted().some((event) => !page.take(event))
  return { events, ...gaps.result(more ? (events.at(-1)?.sequence ?? after) : Math.max(after, end), more) }
}

/**
 * As `searchNewest`, for many topics: visits the events of the log in order, until the page is full. For each event it
 * checks the later events of the topic, up to the next one that matches.
 */
function* searchInOrder(
  retained: RetainedEvents,
  history: TrimHistory,
  selection: Selection,
  { after, until = retained.head, ...limits }: ReadOptions,
): Work<Page> {
  const { order } = retained
  const end = Math.min(until, retained.head)
  const gaps = new GapSearch(history, selection)
  yield* gaps.begin(after)
  const page = new PageBuilder(limits)
  const { events } = page
  let position = after
  for (let event = order.after(after), looked = 0; event && event.sequence <= end; event = order.after(position)) {
    gaps.advance(position)
    if (looked++ >= LOOKED_AT) return { events, ...gaps.result(position, true) }
    const isWanted =
      selection.hasTopic(event.topic) &&
      selection.hasType(event.type) &&
      !(yield* hasNewer(retained, event, selection, end))
    if (isWanted && !page.take(event)) return { events, ...gaps.result(position, true) }
    position = event.sequence
    yield
  }
  gaps.advance(position)
  return { events, ...gaps.result(Math.max(after, end), false) }
}

/** Whether the topic of an event has a newer matching event, up to a sequence. */
function* hasNewer(
  retained: RetainedEvents,
  { topic, sequence }: StoredEvent,
  selection: Selection,
  end: number,
): Work<boolean> {
  const events = retained.get(topic)?.events
  if (!events) return false
  for (let index = events.indexAfter(sequence); ; index = Math.max(index + 1, events.first)) {
    const event = events.at(index)
    if (!event || event.sequence > end) return false
    if (selection.hasType(event.type)) return true
    yield
  }
}

function* newestOf(
  events: EventQueue,
  selection: Selection,
  after: number,
  until: number,
): Work<StoredEvent | undefined> {
  for (let index = events.indexAfter(until) - 1; index >= events.first; index--) {
    const event = events.at(index)!
    if (event.sequence <= after) return undefined
    if (selection.hasType(event.type)) return event
    yield
  }
  return undefined
}
