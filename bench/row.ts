/** The result of a scenario, as a row of the table. */
import type { Measured } from './measure.js'

export interface Row extends Partial<Omit<Measured, 'faults'>> {
  scenario: string
  /** The measured figure, with its unit. */
  figure: string
  target: string
  /** `undefined`: there is no target, or the figure could not be measured. */
  reached: boolean | undefined
  notes?: string[]
  /** Lost or misordered events, and closed streams. */
  faults: string[]
}

const COLUMNS: { title: string; width: number; left?: boolean; cell: (row: Row) => string }[] = [
  { title: 'scenario', width: 14, left: true, cell: ({ scenario }) => scenario },
  { title: 'figure', width: 42, left: true, cell: ({ figure }) => figure },
  {
    title: 'target',
    width: 26,
    left: true,
    cell: ({ target, reached }) => (reached === undefined ? target : `${target} ${reached ? '✓' : '✗'}`),
  },
  {
    title: 'delivered/expected',
    width: 21,
    cell: ({ delivered, expected }) =>
      delivered === undefined || expected === undefined ? '' : `${delivered}/${expected}`,
  },
  { title: 'publishes/s', width: 11, cell: ({ publishesPerSecond }) => whole(publishesPerSecond) },
  { title: 'deliveries/s', width: 12, cell: ({ deliveriesPerSecond }) => whole(deliveriesPerSecond) },
  {
    title: 'p50/p99/max ms',
    width: 20,
    cell: ({ latency }) =>
      latency ? [latency.p50, latency.p99, latency.max].map((value) => value.toFixed(1)).join('/') : '',
  },
  { title: 'CPU µs', width: 7, cell: ({ cpuPerDelivery }) => fixed(cpuPerDelivery, 2) },
  { title: 'MiB', width: 5, cell: ({ memory }) => whole(memory) },
  { title: 'hub %', width: 5, cell: ({ hubShare }) => percent(hubShare) },
  { title: 'load %', width: 6, cell: ({ loadShare }) => percent(loadShare) },
]

/** Returns the head of the table. */
export function printHead(): string {
  return line(({ title }) => title)
}

/** Returns a row, and its notes and faults below. */
export function printRow(row: Row): string {
  return [
    line(({ cell }) => cell(row)),
    ...(row.natsShare === undefined ? [] : [`  the NATS server took ${percent(row.natsShare)} % of a core`]),
    ...(row.notes ?? []).map((note) => `  ${note}`),
    ...row.faults.map((fault) => `  FAULT: ${fault}`),
  ].join('\n')
}

/** The explanation of the columns. */
export const LEGEND = `CPU µs: the hub's CPU per delivery, user and system. MiB: the hub's anonymous and shared pages. hub %, load %: of one core. All add up the processes of the hub.
If the load takes all of its core and the hub does not, the run measured the load. If neither does and no rate is set,
other processes used the cores: run the scenario again on a quiet machine.`

function line(text: (column: (typeof COLUMNS)[number]) => string): string {
  return COLUMNS.map((column) =>
    column.left ? text(column).padEnd(column.width) : text(column).padStart(column.width),
  )
    .join('  ')
    .trimEnd()
}

function whole(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '' : Math.round(value).toLocaleString('en')
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits)
}

function percent(share: number | undefined): string {
  return share === undefined || Number.isNaN(share) ? '' : (share * 100).toFixed(0)
}
