/** Tables of text: columns that are aligned, two spaces apart, without a frame. */
import Table from 'cli-table3'

/** A column: its title, and the side to which its cells are aligned. */
export interface Column {
  title: string
  align?: 'left' | 'right'
}

const FRAME = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
] as const
const NO_FRAME = { ...Object.fromEntries(FRAME.map((part) => [part, ''])), middle: '  ' }

/** Returns the lines of a table. Cells may have colours and wide characters. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  isTitled = true,
): string[] {
  const table = new Table({
    chars: NO_FRAME,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colAligns: columns.map(({ align = 'left' }) => align),
    ...(isTitled ? { head: columns.map(({ title }) => title) } : {}),
  })
  table.push(...rows.map((cells) => [...cells]))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}
