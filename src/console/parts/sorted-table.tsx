/** A table that the user sorts by pressing the head of a column. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useIsNarrow } from './narrow.js'

export interface Column<Row> {
  name: string
  /** Returns the value to sort by. */
  value: (row: Row) => string | number
  show: (row: Row) => ComponentChildren
  isNumber?: boolean
}

export interface SortedTableProps<Row> {
  caption: string
  columns: Column<Row>[]
  rows: Row[]
  keyOf: (row: Row) => string
  /** Returns the class of a row. */
  classOf?: (row: Row) => string
  /** On a screen of at most this width, in pixels, each row is a card; default: 800. */
  cardsUpTo?: number
}

export function SortedTable<Row>({ caption, columns, rows, keyOf, classOf, cardsUpTo = 800 }: SortedTableProps<Row>) {
  const order = useSignal({ name: columns[0]!.name, isDescending: false })
  const { name, isDescending } = order.value
  const sorting = columns.find((column) => column.name === name) ?? columns[0]!
  const { value } = sorting
  const hasCards = useIsNarrow(cardsUpTo)
  const sorted = rows.toSorted((a, b) => (isDescending ? -1 : 1) * compare(value(a), value(b)))
  /** Sorts by a column. Numbers start with the largest. */
  const sortBy = (column: Column<Row>) =>
    (order.value = {
      name: column.name,
      isDescending: column === sorting ? !isDescending : column.isNumber === true,
    })
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table class={hasCards ? 'cards' : ''}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                class={column.isNumber ? 'number' : ''}
                aria-sort={column === sorting ? (isDescending ? 'descending' : 'ascending') : undefined}
              >
                <button type="button" onClick={() => sortBy(column)}>
                  {column.name}
                  <span aria-hidden="true">{column === sorting ? (isDescending ? ' ↓' : ' ↑') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={keyOf(row)} class={classOf?.(row)}>
              {columns.map(({ name, show, isNumber }) => (
                <td key={name} class={isNumber ? 'number' : ''} data-label={name}>
                  {show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
