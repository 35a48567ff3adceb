/** A dense table of many rows, sorted by its columns. On narrow screens each row has two lines. */
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { useIsNarrow } from './narrow.js'
import { compare, SortHead, useOrder, type Column, type Order } from './sorted-table.js'
import { useVisibleRows } from './virtual.js'

export interface DataColumn<Row> extends Column<Row> {
  /** Where a narrow row shows the value: first line, start or end, or second line; default: nowhere. */
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
  /** The largest width at which a screen counts as narrow, in pixels; default: 800. */
  narrowUpTo?: number
}

/** The heights of a row, in pixels. The style sheet has the same. */
const ROW = 32
const NARROW_ROW = 52

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { caption, columns, rows, keyOf, actions, narrowUpTo = 800 } = props
  const scroller = useRef<HTMLDivElement>(null)
  const order = useOrder(columns, props.sortedBy)
  const { sorting, isDescending } = order
  const isNarrow = useIsNarrow(narrowUpTo)
  const sorted = rows.toSorted((a, b) => (isDescending ? -1 : 1) * compare(sorting.value(a), sorting.value(b)))
  const { start, end, before, after } = useVisibleRows(scroller, rows.length, isNarrow ? NARROW_ROW : ROW)
  const drawn = sorted.slice(start, end)
  const labelled = { role: 'region', 'aria-label': caption, tabIndex: 0 } as const
  if (isNarrow)
    return (
      <>
        <SortMenu columns={columns} sorting={sorting} isDescending={isDescending} onSort={order.sortBy} />
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
        <Heads columns={columns} order={order} hasActions={actions !== undefined} />
        <tbody>
          {before > 0 && <tr aria-hidden="true" style={{ height: `${before}px` }} />}
          {drawn.map((row, index) => (
            <WideRow key={keyOf(row)} row={row} columns={columns} actions={actions} place={start + index + 2} />
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

function Heads<Row>({ columns, order, hasActions }: HeadsProps<Row>) {
  const { sorting, isDescending, sortBy } = order
  return (
    <thead>
      <tr>
        {columns.map((column) => (
          <SortHead
            key={column.name}
            column={column}
            class={classOf(column)}
            order={column === sorting ? (isDescending ? 'descending' : 'ascending') : undefined}
            onSort={() => sortBy(column)}
          />
        ))}
        {hasActions && (
          <th scope="col">
            <span class="hidden">Actions</span>
          </th>
        )}
      </tr>
    </thead>
  )
}

interface HeadsProps<Row> {
  columns: DataColumn<Row>[]
  order: Order<DataColumn<Row>>
  hasActions: boolean
}

/** @param place the number of the row, from 2: the first row has the heads */
function WideRow<Row>({ row, columns, actions, place }: RowProps<Row> & { place: number }) {
  return (
    <tr aria-rowindex={place}>
      {columns.map((column) => (
        <td key={column.name} class={classOf(column)} data-label={column.name}>
          {column.show(row)}
        </td>
      ))}
      {actions && <td class="actions">{actions(row)}</td>}
    </tr>
  )
}

interface RowProps<Row> {
  row: Row
  columns: DataColumn<Row>[]
  actions: ((row: Row) => ComponentChildren) | undefined
}

function NarrowRow<Row>({ row, columns, actions }: RowProps<Row>) {
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
