/** A line chart that moves with time, with a description in words. */
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

/** A value at a time in milliseconds. `null` stands for missing values, and interrupts the line. */
export interface Point {
  time: number
  value: number | null
}

export interface Scale {
  /** The upper end of the axis, whose lower end is 0. */
  max: number
  format: (value: number) => string
}

/** The period that is shown, in seconds. It is shorter at first, when the few points would be too small to read. */
export const WINDOW = 300
const FIRST_WINDOW = 60
const HEIGHT = 180
const dark = matchMedia('(prefers-color-scheme: dark)')

/** Draws a chart into an element with `role="img"`. Returns a function that sets the points. */
export function drawChart(container: HTMLElement, title: string, scale: Scale): (points: Point[]) => void {
  let data: UPlot.AlignedData = [[], []]
  let chart: UPlot | undefined
  const draw = () => {
    chart?.destroy()
    chart = new UPlot(optionsOf(container.clientWidth, scale), data, container)
  }
  dark.addEventListener('change', draw) // the style sheet does not apply to a canvas
  new ResizeObserver(() => chart?.setSize({ width: container.clientWidth, height: HEIGHT })).observe(container)
  draw()
  return (points) => {
    data = [points.map(({ time }) => time / 1_000), points.map(({ value }) => value)]
    chart?.setData(data)
    container.setAttribute('aria-label', inWords(title, points, scale))
  }
}

function inWords(title: string, points: Point[], { format }: Scale): string {
  const values = points.flatMap(({ value }) => value ?? [])
  const holes = points.length - values.length
  return (
    `${title}: now ${format(values.at(-1) ?? 0)}; between ${format(Math.min(...values))} and ${format(Math.max(...values))} in the last ${WINDOW / 60} minutes` +
    (holes > 0 ? `; interrupted ${holes === 1 ? 'once' : `${holes} times`}` : '')
  )
}

function optionsOf(width: number, { max, format }: Scale): UPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const axis = {
    stroke: color('muted'),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width,
    height: HEIGHT,
    padding: [8, 28, 0, 0], // half of a label of the time axis
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_chart, from, to) => [to - Math.max(FIRST_WINDOW, Math.min(WINDOW, to - from)), to] },
      y: { range: [0, max] },
    },
    axes: [
      {
        ...axis,
        size: 26,
        space: 80,
        values: [
          [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
          [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
        ],
      },
      {
        ...axis,
        size: 72,
        splits: [0, max / 4, max / 2, (max * 3) / 4, max],
        values: (_chart, ticks) => ticks.map(format),
      },
    ],
    series: [{}, { stroke: color('accent'), fill: `${color('accent')}1f`, width: 2, points: { show: false } }],
  }
}
