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
  const { sorting, isDescending, sortBy } = useOrder(columns, columns[0]!.name)
  const { value } = sorting
  const hasCards = useIsNarrow(cardsUpTo)
  const sorted = rows.toSorted((a, b) => (isDescending ? -1 : 1) * compare(value(a), value(b)))
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table class={hasCards ? 'cards' : ''}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <SortHead
                key={column.name}
                column={column}
                order={column === sorting ? (isDescending ? 'descending' : 'ascending') : undefined}
                onSort={() => sortBy(column)}
              />
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

/** The order of a table. */
export interface Order<AnyColumn> {
  sorting: AnyColumn
  isDescending: boolean
  sortBy: (column: AnyColumn) => void
}

/** Returns the order of a table, which the user can change. A column of numbers begins with the largest. */
export function useOrder<AnyColumn extends Pick<Column<never>, 'name' | 'isNumber'>>(
  columns: readonly AnyColumn[],
  sortedBy: string,
): Order<AnyColumn> {
  const first = columns.find(({ name }) => name === sortedBy) ?? columns[0]!
  const order = useSignal({ name: first.name, isDescending: first.isNumber === true })
  const { name, isDescending } = order.value
  const sorting = columns.find((column) => column.name === name) ?? first
  const sortBy = (column: AnyColumn) =>
    (order.value = {
      name: column.name,
      isDescending: column === sorting ? !isDescending : column.isNumber === true,
    })
  return { sorting, isDescending, sortBy }
}

export interface SortHeadProps<Row> {
  column: Column<Row>
  /** `undefined`: the table is sorted by another column. */
  order: 'ascending' | 'descending' | undefined
  class?: string
  onSort: () => void
}

/** The head of a column. Pressing the head sorts the table by the column. */
export function SortHead<Row>({ column, order, onSort, ...given }: SortHeadProps<Row>) {
  const { class: classes = column.isNumber ? 'number' : '' } = given
  return (
    <th scope="col" class={classes} aria-sort={order}>
      <button type="button" onClick={onSort}>
        {column.name}
        <span aria-hidden="true">{order === undefined ? '' : order === 'descending' ? ' ↓' : ' ↑'}</span>
      </button>
    </th>
  )
}

export function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
