/** `fanfare inspect`: prints the contents of a log, even while a hub uses it. */
import { parseArgs } from 'node:util'
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
import { openStore } from '../log/lmdb/store.js'
import type { Tables } from '../log/lmdb/tables.js'
import { printSize } from '../model/units.js'
import { UsageError, type Process } from './command.js'

/** How many events are read at once. */
const PAGE = 1_000

/** Prints a summary of a log or, with `--topic`, the events of a topic as NDJSON. */
export async function inspect(args: string[], { stdout, stderr }: Process): Promise<void> {
  const { folder, topic } = parse(args)
  checkFolder(folder, true)
  const tables = openStore(folder, { durability: 'sync', readOnly: true })
  tables.damage.listener = (what) => stderr.write(`The log in ${folder} is damaged: ${what} cannot be read.\n`)
  try {
    if (topic === undefined) for (const line of summarize(folder, tables)) stdout.write(`${line}\n`)
    else for (const event of eventsOf(tables, topic)) stdout.write(`${event}\n`)
  } catch (err) {
    throw asStoreError(folder, err)
  } finally {
    await tables.root.close()
  }
}

function parse(args: string[]): { folder: string; topic: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ args, options: { topic: { type: 'string' } }, allowPositionals: true })
    const [folder, ...others] = positionals
    if (folder === undefined || others.length > 0) throw new UsageError('inspect takes one folder.')
    if (values.topic !== undefined && !isTopic(values.topic))
      throw new UsageError(`${JSON.stringify(values.topic)} is not a topic.`)
    return { folder, topic: values.topic }
  } catch (err) {
    throw err instanceof UsageError ? err : new UsageError(err instanceof Error ? err.message : String(err))
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
  yield* table([['topic', 'events', 'bytes', 'oldest', 'newest'], ...rows])
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

/** Returns lines with aligned columns. */
function table(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
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
