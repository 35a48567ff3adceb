/** A chart of the last hour. All charts share their range and their crosshair. */
import { computed, signal } from '@preact/signals'
import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { formatClock } from '../format.js'
import { history, type Figures, type Moment } from '../hub/monitor.js'

/** One line of a chart. */
export interface Line {
  name: string
  figure: keyof Figures
}

export interface ChartProps {
  title: string
  lines: Line[]
  format: (value: number) => string
  /** The possible steps of the axis; by default round decimal numbers. */
  steps?: number[]
}

const HEIGHT = 132
/** The minimum range of the time axis, in seconds. In a range of an hour, the first figures would be a speck. */
const FIRST_WINDOW = 60
const dark = matchMedia('(prefers-color-scheme: dark)')

/** The ranges to choose from, in seconds. */
export const RANGES = [
  { name: '15 m', seconds: 900 },
  { name: '1 h', seconds: 3_600 },
] as const

/** The range of all charts, in seconds. */
export const range = signal<number>(RANGES[0].seconds)

/** The periods within the range, oldest first. */
const shown = computed<readonly Moment[]>(() => {
  const first = (history.value.at(-1)?.time ?? 0) - range.value * 1_000
  return history.value.filter(({ time }) => time >= first)
})

/** The time under the pointer, in milliseconds since the Unix epoch. */
const pointed = signal<number | undefined>(undefined)
const pointedMoment = computed(() => shown.value.find(({ time }) => time === pointed.value))

export function Chart(props: ChartProps) {
  const { title, lines, format } = props
  const moments = shown.value
  const container = usePlot(props, moments)
  const moment = pointedMoment.value
  const figures = moment ? moment.figures : moments.findLast((one) => one.figures !== null)?.figures
  const values = lines.map(({ name, figure }) => ({ name, value: figures ? format(figures[figure]) : '–' }))
  return (
    <section class="card chart">
      <div class="chart-head">
        <h2>{title}</h2>
        <time class="pointed">{moment ? formatClock(moment.time) : ''}</time>
        <dl class="legend">
          {values.map(({ name, value }, index) => (
            <div key={name}>
              <dt class={`line-${index}`}>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </div>
      <div ref={container} class="plot" role="img" aria-label={describe(title, values, moments)} />
    </section>
  )
}

/** Draws the lines into an element, which the caller mounts. */
function usePlot(props: ChartProps, moments: readonly Moment[]): RefObject<HTMLDivElement | null> {
  const container = useRef<HTMLDivElement>(null)
  const chart = useRef<UPlot | undefined>(undefined)

  useEffect(() => {
    const { current } = container
    if (!current) return
    const draw = () => {
      chart.current?.destroy()
      const options = optionsOf(props, current.clientWidth)
      chart.current = new UPlot(options, dataOf(props.lines, shown.peek()), current)
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

  useEffect(() => chart.current?.setData(dataOf(props.lines, moments)), [moments])
  return container
}

/** Describes a chart in words, for screen readers. */
function describe(title: string, values: { name: string; value: string }[], moments: readonly Moment[]): string {
  const holes = moments.filter((one, index) => one.figures === null && moments[index - 1]?.figures !== null).length
  const rangeName = RANGES.find(({ seconds }) => seconds === range.value)!.name
  return [
    `${title} over the last ${rangeName}`,
    `now ${values.map(({ name, value }) => `${name} ${value}`).join(', ')}`,
    ...(holes > 0 ? [`interrupted ${holes === 1 ? 'once' : `${holes} times`}`] : []),
  ].join('; ')
}

/** Returns the times, and a column of values for each line. A hole interrupts the lines. */
function dataOf(lines: Line[], moments: readonly Moment[]): UPlot.AlignedData {
  return [
    moments.map(({ time }) => time / 1_000),
    ...lines.map(({ figure }) => moments.map(({ figures }) => figures && figures[figure])),
  ]
}

function optionsOf({ lines, format, steps }: ChartProps, width: number): UPlot.Options {
  const style = getComputedStyle(document.body)
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const point = (chart: UPlot) => {
    const { idx } = chart.cursor
    const time = idx == null ? undefined : chart.data[0][idx]
    pointed.value = time === undefined ? undefined : Math.round(time * 1_000)
  }
  return {
    width,
    height: HEIGHT,
    padding: [6, 16, 0, 0], // room for half a label of the time axis
    legend: { show: false },
    cursor: { sync: { key: 'charts' }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
    hooks: { setCursor: [point] },
    scales: {
      x: { range: (_chart, min, max) => [max - Math.max(FIRST_WINDOW, Math.min(range.peek(), max - min)), max] },
      y: { range: (_chart, _min, max) => [0, max > 0 ? max * 1.15 : 1] },
    },
    axes: axesOf({ stroke: color('muted'), line: color('line'), font: `11px ${style.fontFamily}` }, format, steps),
    series: [
      {},
      ...lines.map((_line, index) => ({
        stroke: color(`line-${index}`),
        ...(index === lines.length - 1 ? { fill: color(`fill-${index}`) } : {}),
        width: 1.5,
        points: { show: false },
      })),
    ],
  }
}

/** Returns the time axis and the value axis. */
function axesOf(
  { stroke, line, font }: { stroke: string; line: string; font: string },
  format: ChartProps['format'],
  steps: number[] | undefined,
): UPlot.Axis[] {
  const axis = { stroke, font, grid: { stroke: line, width: 1 }, ticks: { show: false } }
  return [
    {
      ...axis,
      size: 22,
      space: 64,
      incrs: [10, 15, 30, 60, 120, 300, 600, 900, 1_800],
      values: (_chart, ticks) => ticks.map(labelOf),
    },
    {
      ...axis,
      ...(steps ? { incrs: steps } : {}),
      size: 60,
      gap: 4,
      space: 30,
      values: (_chart, ticks) => ticks.map(format),
    },
  ]
}

/** Returns the label of a time on the axis: hours and minutes, and seconds within a minute. */
function labelOf(seconds: number): string {
  const clock = formatClock(seconds * 1_000)
  return clock.endsWith(':00') ? clock.slice(0, 5) : clock
}
