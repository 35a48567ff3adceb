import { create, element } from '../shared/element.js'
import { connectHub, showState, wordsOfGap } from '../shared/status.js'
import type { Tick } from './server.js'

const ticks = element('ticks', 'tbody')
const startButton = element('start', 'button')
const stopButton = element('stop', 'button')

/** The maximum number of shown lines. Older lines are removed. */
const SHOWN = 50

const hub = connectHub()
showState(hub)
let unsubscribe = (): void => undefined
/** The cursor of the newest tick, from which the next subscription continues. */
let cursor: string | null = null

function start(): void {
  unsubscribe = hub.subscribe<Tick>(
    'clock',
    ({ id, data: { number, time } }) => {
      cursor = id
      element('time').textContent = new Date(time).toLocaleTimeString()
      addRow(String(number), new Date(time).toLocaleTimeString(), String(id))
    },
    {
      ...(cursor === null ? { replay: 5 } : { from: cursor }),
      // The clock was stopped for longer than the hub keeps ticks: a note takes the place of the missing ticks.
      onGap: (gap) => addRow(wordsOfGap(gap)),
    },
  )
  startButton.disabled = true
  stopButton.disabled = false
}

function stop(): void {
  unsubscribe()
  startButton.disabled = false
  stopButton.disabled = true
}

/** Adds a line: a tick, or a note as wide as the table. */
function addRow(...texts: [number: string, time: string, id: string] | [note: string]): void {
  element('empty').hidden = true
  const [className, colSpan] = texts.length === 1 ? ['muted', 3] : ['number', 1]
  ticks.prepend(create('tr', {}, ...texts.map((textContent) => create('td', { className, colSpan, textContent }))))
  if (ticks.rows.length > SHOWN) ticks.deleteRow(-1)
}

startButton.addEventListener('click', start)
stopButton.addEventListener('click', stop)
start()
