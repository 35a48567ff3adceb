/** `fanfare inspect`: prints the contents of a log, even while a hub uses it. */
import { printCursor } from '../model/cursor.js'
import { printEvent } from '../model/history-event.js'
import { Selection } from '../model/selection.js'
import { finish } from '../event-loop/time-slice.js'
import { isTopic } from '../model/topic.js'
import { Reader } from '../log/lmdb/reader.js'
import { State } from '../log/lmdb/state.js'
import type { Topic } from '../log/lmdb/topic.js'
import { PageBuilder } from '../log/page.js'
import { asStoreError } from '../log/lmdb/store-error.js'
import { checkFolder } from '../log/lmdb/store-folder.js'
import { openForReading } from '../log/lmdb/store.js'
import type { Tables } from '../log/lmdb/tables.js'
import { printSize } from '../model/units.js'
import { UsageError, type Process } from './command.js'
import { tableLines } from './table.js'

const COLUMNS = ['topic', 'events', 'bytes', 'oldest', 'newest'].map((title) => ({ title }))
/** How many events are read at once. */
const PAGE = 1_000

/** Prints a summary of a log or, with `--topic`, the events of a topic as NDJSON. */
export async function inspect(
  folder: string,
  { topic }: { topic?: string | undefined },
  { stdout, stderr }: Process,
): Promise<void> {
  if (topic !== undefined && !isTopic(topic)) throw new UsageError(`${JSON.stringify(topic)} is not a topic.`)
  checkFolder(folder, true)
  const tables = openForReading(folder)
  tables.damage.listener = (what) => stderr.write(`The log in ${folder} is damaged: ${what} cannot be read.\n`)
  try {
    if (topic === undefined) for (const line of summarize(folder, tables)) stdout.write(`${line}\n`)
    else for (const event of eventsOf(tables, topic)) stdout.write(`${event}\n`)
  } catch (err) {
    throw asStoreError(folder, err)
  } finally {
    await tables.close()
  }
}

function* summarize(folder: string, tables: Tables): Generator<string> {
  const state = new State(tables)
  const epoch = tables.meta.get('epoch') as string
  const { head, events, bytes } = state.totals
  yield `folder  ${folder}`
  yield `epoch   ${epoch}`
  yield `head    ${printCursor(epoch, head)}`
  yield `events  ${events} in ${state.topics.size} topics, ${printSize(bytes)}`
  yield ''
  const rows = [...state.topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map((topic) => row(tables, topic))
  yield* tableLines(COLUMNS, rows)
}

function row(tables: Tables, topic: Topic): string[] {
  const [oldest] = tables.index.getKeys({ start: [topic.id, 0], end: [topic.id, Infinity], limit: 1 })
  return [
    topic.name,
    String(topic.events),
    printSize(topic.bytes),
    timeOf(tables, oldest?.[1] ?? topic.recent[0]),
    timeOf(tables, topic.newest),
  ]
}

function timeOf(tables: Tables, sequence: number | undefined): string {
  const event = sequence === undefined ? undefined : tables.events.view(sequence)
  return event ? new Date(event.time).toISOString() : '-'
}

function* eventsOf(tables: Tables, topic: string): Generator<string> {
  const transaction = tables.root.useReadTransaction()
  const reader = new Reader(tables, new State(tables))
  const epoch = tables.meta.get('epoch') as string
  const selection = new Selection([topic])
  let after = 0
  try {
    for (let more = true; more;) {
      const page = new PageBuilder({ events: PAGE })
      const scanned = finish(reader.scan({ transaction }, selection, { after }, (event) => page.take(event)))
      for (const event of page.events) yield printEvent(event, printCursor(epoch, event.sequence))
      after = scanned.position
      more = scanned.more
    }
  } finally {
    transaction.done()
  }
}
