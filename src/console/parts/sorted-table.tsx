/** A table that the user sorts by pressing the head of a column. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

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
}

export function SortedTable<Row>({ caption, columns, rows, keyOf }: SortedTableProps<Row>) {
  const order = useSignal({ column: 0, isDescending: false })
  const { column, isDescending } = order.value
  const { value } = columns[column]!
  const sorted = rows.toSorted((a, b) => (isDescending ? -1 : 1) * compare(value(a), value(b)))
  /** Sorts by a column. Numbers start with the largest. */
  const sortBy = (index: number) =>
    (order.value = {
      column: index,
      isDescending: index === column ? !isDescending : columns[index]!.isNumber === true,
    })
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isNumber }, index) => (
              <th
                key={name}
                scope="col"
                class={isNumber ? 'number' : ''}
                aria-sort={index === column ? (isDescending ? 'descending' : 'ascending') : undefined}
              >
                <button type="button" onClick={() => sortBy(index)}>
                  {name}
                  <span aria-hidden="true">{index === column ? (isDescending ? ' ↓' : ' ↑') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={keyOf(row)}>
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

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
