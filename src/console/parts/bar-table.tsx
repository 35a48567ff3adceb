/** A table of names and numbers, with a bar behind each number. */
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

export interface BarRow {
  key: string
  name: ComponentChildren
  value: number
  /** The value as text. */
  shown: string
}

export interface BarTableProps {
  title: string
  columns: [name: string, value: string]
  rows: BarRow[]
  /** What is said if there are no rows. */
  empty: ComponentChildren
}

export function BarTable({ title, columns, rows, empty }: BarTableProps) {
  const heading = useId()
  const top = Math.max(...rows.map(({ value }) => value), 1)
  return (
    <section class="card" aria-labelledby={heading}>
      <h2 id={heading}>{title}</h2>
      {rows.length === 0 ? (
        <p class="empty">{empty}</p>
      ) : (
        <table class="bars" aria-labelledby={heading}>
          <thead>
            <tr>
              <th scope="col">{columns[0]}</th>
              <th scope="col" class="number">
                {columns[1]}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, name, value, shown }) => (
              <tr key={key}>
                <td>
                  <div class="bar-of" style={{ width: `${(value / top) * 100}%` }} />
                  {name}
                </td>
                <td class="number">{shown}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
