/** Shorthands for reads of a log. */
import type { StoredEvent } from '../../model/event.js'
import { payloadOf } from '../../model/payload.js'
import { Selection } from '../../model/selection.js'
import type { EventLog, Page, ReadOptions, ScanResult } from '../log.js'
import { readPage } from '../page.js'
import type { AnyRead } from './any-event.js'
import { ok, same, until } from './assertions.js'

export const EVERYTHING = new Selection(['**'])

/** A page of events, and whether it has a gap. */
export type PageRead = Omit<Page, 'mark'> & { gap: boolean }

/** Reads events as objects. */
export async function readFrom(log: EventLog, selection: Selection, options: ReadOptions): Promise<PageRead> {
  const { events, position, more, trimmedAt } = await readPage(log, selection, options)
  return { events, position, more, gap: trimmedAt !== undefined, trimmedAt }
}

export async function readAll(log: EventLog, selection = EVERYTHING, after = 0): Promise<PageRead> {
  return readFrom(log, selection, { after, events: 1_000_000 })
}

/** Reads all events without parsing them, as catch-up does. */
export async function scanAll(log: EventLog): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  await log.scan(EVERYTHING, { after: 0 }, (event) => {
    events.push({ ...event, payload: payloadOf(event) })
    return true
  })
  return events
}

/** Finds the sequence before the newest `count` events. */
export async function locateNewest(
  log: EventLog,
  selection: Selection,
  count: number,
  until?: number,
): Promise<number> {
  return (await log.locate(selection, until === undefined ? { newest: count } : { newest: count, until })).after
}

/** Finds a sequence before every event of a time or later. */
export async function locateTime(log: EventLog, selection: Selection, from: number): Promise<number> {
  return (await log.locate(selection, { from })).after
}

/**
 * Whether the log has trimmed events of a selection after the sequence `after`, by trims later than the mark `since`.
 */
export async function hasTrimmed(log: EventLog, selection: Selection, after: number, since: number): Promise<boolean> {
  const { gap, trimmedAt } = await readFrom(log, selection, { after, events: 1 })
  same(gap, trimmedAt !== undefined)
  return trimmedAt !== undefined && trimmedAt > since
}

/** Waits until the log retains a number of events. */
export async function retains(log: EventLog, count: number): Promise<void> {
  await until(
    async () => log.view.stats().events === count,
    () => `the log retains ${log.view.stats().events} events, not ${count}`,
  )
}

/** Waits until the log retains no more than a number of events. */
export async function retainsAtMost(log: EventLog, count: number): Promise<void> {
  await until(
    async () => log.view.stats().events <= count,
    () => `the log retains ${log.view.stats().events} events, more than ${count}`,
  )
}

/** Waits until a read of the whole log returns a number of events. */
export async function returns(log: EventLog, count: number): Promise<void> {
  let read = NaN
  await until(
    async () => (read = (await readAll(log)).events.length) === count,
    () => `a read returns ${read} events, not ${count}`,
  )
}

/**
 * Reads page after page to the end, and checks that the pages get there.
 * @param read reads a page
 * @param check called with each page and the part of the log that the page begins: after `after`, up to `end`
 */
export async function readPages<P extends Pick<ScanResult, 'position' | 'more'>>(
  log: EventLog,
  { after, until, events, bytes }: Omit<AnyRead, 'selection'>,
  read: (options: ReadOptions) => Promise<P>,
  check: (page: P, part: { after: number; end: number }) => void,
): Promise<void> {
  const end = Math.min(until ?? log.view.head, log.view.head)
  let position = Math.min(after, end)
  for (let more = true; more;) {
    const options: ReadOptions = { after: position, events }
    if (until !== undefined) options.until = end
    if (bytes !== undefined) options.bytes = bytes
    const page = await read(options)
    check(page, { after: position, end })
    ok(page.position > position || !page.more, `a page with more events stays at ${position}`)
    ;({ position, more } = page)
  }
  same(position, end) // otherwise a reader would never end
}
