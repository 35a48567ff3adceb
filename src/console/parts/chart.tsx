/** A chart of the last minutes that moves with time. */
import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Stats } from '../../hub/stats.js'
import { history, latest, WINDOW, type Moment } from '../hub/monitor.js'

/** One line of a chart. */
export interface Line {
  name: string
  of: (stats: Stats) => number
}

export interface ChartProps {
  title: string
  lines: Line[]
  format: (value: number) => string
  /** The possible steps of the axis; by default round decimal numbers. */
  steps?: number[]
}

const HEIGHT = 150
/** The minimum time range, in seconds. The first figures would be a speck in a range of five minutes. */
const FIRST_WINDOW = 60
const dark = matchMedia('(prefers-color-scheme: dark)')

export function Chart({ title, lines, format, steps }: ChartProps) {
  const container = useRef<HTMLDivElement>(null)
  const chart = useRef<UPlot | undefined>(undefined)
  const moments = history.value
  const now = latest.value

  useEffect(() => {
    const { current } = container
    if (!current) return
    const draw = () => {
      chart.current?.destroy()
      chart.current = new UPlot(
        optionsOf({ title, lines, format, ...(steps ? { steps } : {}) }, current.clientWidth),
        dataOf(lines, history.peek()),
        current,
      )
    }
    const fit = new ResizeObserver(() => chart.current?.setSize({ width: current.clientWidth, height: HEIGHT }))
    draw()
    fit.observe(current)
    dark.addEventListener('change', draw) // a canvas does not follow changes of the style sheet
    return () => {
      dark.removeEventListener('change', draw)
      fit.disconnect()
      chart.current?.destroy()
      chart.current = undefined
    }
  }, [])

  useEffect(() => chart.current?.setData(dataOf(lines, moments)), [moments])

  const values = lines.map(({ name, of }) => ({ name, value: now ? format(of(now)) : '–' }))
  const holes = moments.filter(({ stats }) => stats === null).length
  return (
    <section class="card chart">
      <h2>{title}</h2>
      <dl class="legend">
        {values.map(({ name, value }, index) => (
          <div key={name}>
            <dt class={`line-${index}`}>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div
        ref={container}
        role="img"
        aria-label={`${title} over the last ${WINDOW / 60} minutes; now ${values.map(({ name, value }) => `${name} ${value}`).join(', ')}${holes > 0 ? `; interrupted ${holes === 1 ? 'once' : `${holes} times`}` : ''}`}
      />
    </section>
  )
}

/** Returns the times, and a column of values for each line. A hole in the stats interrupts the lines. */
function dataOf(lines: Line[], moments: readonly Moment[]): UPlot.AlignedData {
  return [
    moments.map(({ time }) => time / 1_000),
    ...lines.map(({ of }) => moments.map(({ stats }) => stats && of(stats))),
  ]
}

function optionsOf({ lines, format, steps }: ChartProps, width: number): UPlot.Options {
  const style = getComputedStyle(document.body)
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const axis = {
    stroke: color('muted'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width,
    height: HEIGHT,
    padding: [8, 20, 0, 0], // room for half a label of the time axis
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_chart, min, max) => [max - Math.max(FIRST_WINDOW, Math.min(WINDOW, max - min)), max] },
      y: { range: (_chart, _min, max) => [0, max > 0 ? max * 1.15 : 1] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        space: 44,
        values: [
          [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
          [1, '{mm}:{ss}', null, null, null, null, null, null, 1],
        ],
      },
      {
        ...axis,
        ...(steps ? { incrs: steps } : {}),
        size: 64,
        space: 34,
        values: (_chart, ticks) => ticks.map(format),
      },
    ],
    series: [
      {},
      ...lines.map((_line, index) => ({ stroke: color(`line-${index}`), width: 2, points: { show: false } })),
    ],
  }
}
