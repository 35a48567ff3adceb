/** Shorthands for the reads that tests often make of a log. */
import type { EventLog, Page, ReadOptions } from '../../src/log/log.js'
import { readPage } from '../../src/log/page.js'
import type { Selection } from '../../src/model/selection.js'

/** A page of events, and whether it has a gap. */
export type PageRead = Omit<Page, 'mark'> & { gap: boolean }

/** Reads events as objects. */
export async function readFrom(log: EventLog, selection: Selection, options: ReadOptions): Promise<PageRead> {
  const { events, position, more, trimmedAt } = await readPage(log, selection, options)
  return { events, position, more, gap: trimmedAt !== undefined, trimmedAt }
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
