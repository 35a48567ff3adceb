import { drawChart, WINDOW, type Point } from '../shared/chart.js'
import { create, element } from '../shared/element.js'
import { clock, duration, gibibytes, inGib, percent } from '../shared/format.js'
import type { Sample } from '../shared/machine.js'
import { connectHub, showState } from '../shared/status.js'

/** The number of samples that fill the charts, at one every two seconds. */
const REPLAY = WINDOW / 2
const HOLE = 'No samples for this period.'

/** The shown points, oldest first. `null` stands for missing samples. */
let moments: { time: number; sample: Sample | null }[] = []
let drawCpu: ((points: Point[]) => void) | undefined
let drawMemory: ((points: Point[]) => void) | undefined
let isGap = false

const hub = connectHub()
showState(hub)
hub.subscribe<Sample>('metrics', ({ data }) => add(data), {
  replay: REPLAY,
  slow: 'latest',
  // Samples are missing: the page was too slow, or disconnected for longer than the hub keeps them.
  onGap: () => (isGap = true),
})

function add(sample: Sample): void {
  const last = moments.at(-1)?.time
  if (last !== undefined && sample.time <= last)
    moments = [] // the clock was set back: start again
  else if (last !== undefined && (isGap || last < sample.time - 1.5 * sample.span))
    moments.push({ time: sample.time - sample.span / 2, sample: null })
  isGap = false
  moments.push({ time: sample.time, sample })
  moments = moments.filter(({ time }) => time >= sample.time - WINDOW * 1_000)
  if (moments[0]!.sample === null) moments.shift()
  write(sample)
}

function write(sample: Sample): void {
  element('empty').hidden = true
  element('measured').hidden = false
  element('cpu').textContent = percent(sample.cpu)
  element('load').textContent = `${sample.load.toFixed(2)} on ${sample.cores} ${sample.cores === 1 ? 'core' : 'cores'}`
  element('memory').textContent = `${inGib(sample.memory.used)} of ${gibibytes(sample.memory.total)}`
  element('uptime').textContent = duration(sample.uptime)
  element('time').textContent = clock(sample.time)
  drawCpu ??= drawChart(element('cpu-chart'), 'CPU', { max: 100, format: percent })
  drawMemory ??= drawChart(element('memory-chart'), 'Memory in use', { max: sample.memory.total, format: gibibytes })
  drawCpu(moments.map((moment) => ({ time: moment.time, value: moment.sample?.cpu ?? null })))
  drawMemory(moments.map((moment) => ({ time: moment.time, value: moment.sample?.memory.used ?? null })))
  element('samples').replaceChildren(...moments.toReversed().map(rowOf))
}

function rowOf({ time, sample }: (typeof moments)[number]): HTMLTableRowElement {
  const texts = sample && [clock(time), percent(sample.cpu), sample.load.toFixed(2), gibibytes(sample.memory.used)]
  const cells = texts?.map((textContent) => create('td', { className: 'number', textContent }))
  return create('tr', {}, ...(cells ?? [create('td', { className: 'muted', colSpan: 4, textContent: HOLE })]))
}
