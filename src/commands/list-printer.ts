/** Prints a list page by page: a table, or with `--json` a JSON object a line. */
import type { Process } from './command.js'
import { tableLines, type Column } from './table.js'
import { painter, print, printable } from './terminal.js'

/** A column of a list, and what it shows of an item. */
export interface ListColumn<Item> extends Column {
  cell: (item: Item) => string
}

export interface ListOptions {
  json?: boolean | undefined
  /** The maximum number of items. */
  limit?: number | undefined
  /** The name of the items, for a list without any. */
  what: string
}

export interface ListPrinter<Item> {
  /** Prints items. Returns whether the limit is reached. */
  add(items: readonly Item[]): Promise<boolean>
  /** Prints a sentence if there was no item. */
  end(): Promise<void>
}

/** The items of one page are aligned with each other; a long list is printed as it is read. */
export function listPrinter<Item>(
  columns: readonly ListColumn<Item>[],
  { json = false, limit = Infinity, what }: ListOptions,
  { stdout, stderr }: Process,
): ListPrinter<Item> {
  const paint = painter(stdout)
  let count = 0
  return {
    async add(items) {
      const printed = items.slice(0, limit - count)
      if (printed.length > 0) {
        const lines = json
          ? printed.map((item) => printable(JSON.stringify(item)))
          : tableLines(
              columns.map((column) => ({ ...column, title: paint('bold', column.title) })),
              printed.map((item) => columns.map(({ cell }) => printable(cell(item)))),
              count === 0,
            )
        await print(stdout, `${lines.join('\n')}\n`)
      }
      count += printed.length
      return count >= limit
    },
    async end() {
      if (count === 0 && !json) stderr.write(`No ${what}.\n`)
    },
  }
}
