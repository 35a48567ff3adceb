/** A dense table of many rows, sorted by its columns. On narrow screens each row has two lines. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { useIsNarrow } from './narrow.js'
import { compare, type Column } from './sorted-table.js'
import { useVisibleRows } from './virtual.js'

export interface DataColumn<Row> extends Column<Row> {
  /** Where a narrow row shows the value: at the start or the end of its first line, or on the second; default: not. */
  narrow?: 'main' | 'end' | 'more'
  /** Whether the column takes the width that the others leave. */
  isWide?: boolean
}

export interface DataTableProps<Row> {
  caption: string
  columns: DataColumn<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  /** The name of the column that the table is first sorted by. Numbers begin with the largest. */
  sortedBy: string
  /** The buttons of a row. */
  actions?: (row: Row) => ComponentChildren
  /** Whether a screen of at most 800 px counts as narrow, or of another width. */
  narrowUpTo?: number
}

/** The heights of a row, in pixels. The style sheet has the same. */
const ROW = 32
const NARROW_ROW = 52

export function DataTable<Row>({
  caption,
  columns,
  rows,
  keyOf,
  sortedBy,
  actions,
  narrowUpTo = 800,
}: DataTableProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null)
  const first = columns.find(({ name }) => name === sortedBy) ?? columns[0]!
  const order = useSignal({ name: first.name, isDescending: first.isNumber === true })
  const isNarrow = useIsNarrow(narrowUpTo)
  const { name, isDescending } = order.value
  const sorting = columns.find((column) => column.name === name) ?? first
  const sorted = rows.toSorted((a, b) => (isDescending ? -1 : 1) * compare(sorting.value(a), sorting.value(b)))
  const { start, end, before, after } = useVisibleRows(scroller, rows.length, isNarrow ? NARROW_ROW : ROW)
  const sortBy = (column: Column<Row>) =>
    (order.value = {
      name: column.name,
      isDescending: column === sorting ? !isDescending : column.isNumber === true,
    })
  const drawn = sorted.slice(start, end)
  const labelled = { role: 'region', 'aria-label': caption, tabIndex: 0 } as const
  if (isNarrow)
    return (
      <>
        <SortMenu columns={columns} sorting={sorting} isDescending={isDescending} onSort={sortBy} />
        <div ref={scroller} class="scroll data narrow" {...labelled}>
          <ul style={{ paddingTop: `${before}px`, paddingBottom: `${after}px` }}>
            {drawn.map((row) => (
              <NarrowRow key={keyOf(row)} row={row} columns={columns} actions={actions} />
            ))}
          </ul>
        </div>
      </>
    )
  return (
    <div ref={scroller} class="scroll data" {...labelled}>
      <table aria-rowcount={rows.length + 1}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                class={classOf(column)}
                aria-sort={column === sorting ? (isDescending ? 'descending' : 'ascending') : undefined}
              >
                <button type="button" onClick={() => sortBy(column)}>
                  {column.name}
                  <span aria-hidden="true">{column === sorting ? (isDescending ? ' ↓' : ' ↑') : ''}</span>
                </button>
              </th>
            ))}
            {actions && (
              <th scope="col">
                <span class="hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr aria-hidden="true" style={{ height: `${before}px` }} />}
          {drawn.map((row, index) => (
            <tr key={keyOf(row)} aria-rowindex={start + index + 2}>
              {columns.map((column) => (
                <td key={column.name} class={classOf(column)} data-label={column.name}>
                  {column.show(row)}
                </td>
              ))}
              {actions && <td class="actions">{actions(row)}</td>}
            </tr>
          ))}
          {after > 0 && <tr aria-hidden="true" style={{ height: `${after}px` }} />}
        </tbody>
      </table>
    </div>
  )
}

function classOf<Row>({ isNumber, isWide }: DataColumn<Row>): string {
  return `${isNumber ? 'number' : ''}${isWide ? ' wide' : ''}`
}

interface NarrowRowProps<Row> {
  row: Row
  columns: DataColumn<Row>[]
  actions: ((row: Row) => ComponentChildren) | undefined
}

function NarrowRow<Row>({ row, columns, actions }: NarrowRowProps<Row>) {
  const at = (place: DataColumn<Row>['narrow']) => columns.filter(({ narrow }) => narrow === place)
  const cell = ({ name, show }: DataColumn<Row>) => (
    <span key={name} class="cell" data-label={name}>
      {show(row)}
    </span>
  )
  return (
    <li>
      <div class="first">
        <span class="main">{at('main').map(cell)}</span>
        {at('end').map(cell)}
      </div>
      <div class="second">
        <dl>
          {at('more')
            .toSorted(widestLast)
            .map(({ name, show }) => (
              <div key={name} data-label={name}>
                <dt>{name}</dt>
                <dd>{show(row)}</dd>
              </div>
            ))}
        </dl>
        {actions?.(row)}
      </div>
    </li>
  )
}

/** The wide column comes last, where it may be cut off. */
function widestLast<Row>(a: DataColumn<Row>, b: DataColumn<Row>): number {
  return Number(a.isWide ?? false) - Number(b.isWide ?? false)
}

interface SortMenuProps<Row> {
  columns: DataColumn<Row>[]
  sorting: DataColumn<Row>
  isDescending: boolean
  onSort: (column: DataColumn<Row>) => void
}

function SortMenu<Row>({ columns, sorting, isDescending, onSort }: SortMenuProps<Row>) {
  return (
    <div class="sort">
      <label>
        Sorted by{' '}
        <select
          value={sorting.name}
          onChange={({ currentTarget }) => onSort(columns.find(({ name }) => name === currentTarget.value) ?? sorting)}
        >
          {columns.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <button type="button" class="quiet" onClick={() => onSort(sorting)}>
        {isDescending ? 'Descending' : 'Ascending'}
      </button>
    </div>
  )
}
