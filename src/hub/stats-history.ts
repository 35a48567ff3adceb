/** The statistics of the last hour of this process, in periods of five seconds. Their memory is fixed. */
import { wallNow } from '../model/clock.js'
import { isNumber, shapeOf, type Check } from '../model/shape.js'
import type { Stats } from './stats-event.js'

/** The length of a period, in milliseconds. */
export const PERIOD = 5_000
/** The number of complete periods that are kept: an hour. */
export const PERIODS = 720

/** The maximum number of periods that a measurement fills: after a longer time, the process was frozen. */
const MOST_PERIODS = 3

/** One number of the statistics. */
interface FigureRule {
  of: (stats: Stats) => number
  /** How several measurements make up a period: the mean of a rate, the latest number, or the greatest. */
  within: 'mean' | 'latest' | 'greatest'
  /** How the processes make up the hub: they add up, or each process sees the same or the slowest counts. */
  across: 'sum' | 'greatest'
}

const RULES = {
  connections: { of: ({ connections }) => connections, within: 'latest', across: 'sum' },
  lagging: { of: ({ lagging }) => lagging, within: 'latest', across: 'sum' },
  topics: { of: ({ topics }) => topics, within: 'latest', across: 'greatest' },
  eventsIn: { of: ({ events }) => events.in, within: 'mean', across: 'greatest' },
  eventsOut: { of: ({ events }) => events.out, within: 'mean', across: 'sum' },
  bytesIn: { of: ({ bytes }) => bytes.in, within: 'mean', across: 'greatest' },
  bytesOut: { of: ({ bytes }) => bytes.out, within: 'mean', across: 'sum' },
  p50: { of: ({ latency }) => latency.p50, within: 'greatest', across: 'greatest' },
  p99: { of: ({ latency }) => latency.p99, within: 'greatest', across: 'greatest' },
  memory: { of: ({ memory }) => memory, within: 'latest', across: 'sum' },
  logEvents: { of: ({ log }) => log.events, within: 'latest', across: 'greatest' },
  logBytes: { of: ({ log }) => log.bytes, within: 'latest', across: 'greatest' },
  eventLoopDelay: { of: ({ eventLoopDelay }) => eventLoopDelay, within: 'greatest', across: 'greatest' },
} as const satisfies Record<string, FigureRule>

/** The name of a number. */
export type Figure = keyof typeof RULES
/** The numbers of one period. */
export type PeriodStats = Record<Figure, number>

export const FIGURES = Object.keys(RULES) as Figure[]
/** Whether a value of another process has the numbers of a period. */
export const isPeriodStats = shapeOf<PeriodStats>(
  Object.fromEntries(FIGURES.map((figure) => [figure, isNumber])) as Record<Figure, Check<number>>,
)

const rules: readonly FigureRule[] = FIGURES.map((figure) => RULES[figure])

/** The columns of a row: its period, the measured seconds, and each figure. */
const COLUMNS = FIGURES.length + 2
/** The rows: the complete periods, and the current one. */
const ROWS = PERIODS + 1

export class StatsHistory {
  /** The rows, one after the other. The row of a period is its number modulo `ROWS`. */
  readonly #rows = new Float64Array(ROWS * COLUMNS)

  /**
   * Adds a measurement to its period; a late one, to every period that it covers.
   * @param seconds the measured time, which has just ended
   * @param now the wall clock
   */
  add(stats: Stats, seconds: number, now = wallNow()): void {
    const start = now - seconds * 1_000
    const last = Math.round(now / PERIOD) - 1
    const first = Math.max(Math.round(start / PERIOD), last - MOST_PERIODS + 1)
    if (last < first) return this.#add(stats, seconds, Math.floor((start + now) / 2 / PERIOD))
    for (let period = first; period <= last; period++) this.#add(stats, seconds / (last - first + 1), period)
  }

  #add(stats: Stats, seconds: number, period: number): void {
    const row = this.#row(period)
    const [start, measured] = row
    const isNew = start !== period
    row[0] = period
    row[1] = isNew ? seconds : measured! + seconds
    rules.forEach(({ of, within }, index) => {
      const column = index + 2
      row[column] = isNew ? of(stats) : added(row[column]!, of(stats), within, measured!, seconds)
    })
  }

  /**
   * Returns the numbers of complete periods, oldest first; `null`: nothing was measured.
   * @param first the number of the first period, counted from the Unix epoch
   * @param last the number of the last period
   */
  read(first: number, last: number): (PeriodStats | null)[] {
    const periods: (PeriodStats | null)[] = []
    for (let period = first; period <= last; period++) {
      const [start, , ...figures] = this.#row(period)
      periods.push(start === period ? named(figures) : null)
    }
    return periods
  }

  #row(period: number): Float64Array {
    const start = (period % ROWS) * COLUMNS
    return this.#rows.subarray(start, start + COLUMNS)
  }
}

/** Returns the numbers of the last complete period, and of the first one within a range in milliseconds. */
export function periodsOf(range: number, now = wallNow()): { first: number; last: number } {
  const last = Math.floor(now / PERIOD) - 1
  return { first: last - Math.min(PERIODS, Math.ceil(range / PERIOD)) + 1, last }
}

/**
 * Returns the numbers of the hub in one period from those of its processes; `null`: no process has measured it.
 */
export function addPeriods(periods: readonly (PeriodStats | null | undefined)[]): PeriodStats | null {
  const known = periods.filter((period) => period != null)
  if (known.length === 0) return null
  return named(
    FIGURES.map((figure) => {
      const values = known.map((period) => period[figure])
      return RULES[figure].across === 'sum' ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values)
    }),
  )
}

function named(figures: readonly number[]): PeriodStats {
  return Object.fromEntries(FIGURES.map((figure, index) => [figure, figures[index]!])) as PeriodStats
}

/** Adds a measurement to the number of a period that has been measured for `before` seconds. */
function added(old: number, value: number, within: FigureRule['within'], before: number, seconds: number): number {
  switch (within) {
    case 'latest':
      return value
    case 'greatest':
      return Math.max(old, value)
    case 'mean':
      return before + seconds > 0 ? (old * before + value * seconds) / (before + seconds) : value
  }
}
