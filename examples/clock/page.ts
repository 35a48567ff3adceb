import { element } from '../shared/element.js'
import { hubUrl, show, watch } from '../shared/status.js'
import { wordsOfGap } from '../shared/stream.js'
import type { Tick } from './server.js'

const status = element('status')
const time = element('time')
const ticks = element('ticks', 'tbody')
const empty = element('empty')
const startButton = element('start', 'button')
const stopButton = element('stop', 'button')

/** The maximum number of shown lines. Older lines are removed. */
const SHOWN = 50

const hub = await hubUrl()
let source: EventSource | undefined
/** The id of the newest tick, from which the next stream resumes. */
let lastId: string | undefined

function start(): void {
  const query = new URLSearchParams(lastId === undefined ? { replay: '5' } : { lastEventId: lastId })
  source = new EventSource(`${hub}/topics/clock/events?${query}`)
  source.addEventListener('message', (event: MessageEvent<string>) => {
    lastId = event.lastEventId
    add(JSON.parse(event.data) as Tick, lastId)
  })
  // The stream was stopped for longer than the hub keeps ticks: a note takes the place of the missing ticks.
  source.addEventListener('fanfare.gap', (event: MessageEvent<string>) => addRow(wordsOfGap(event)))
  watch(source, (now) => show(status, now))
  startButton.disabled = true
  stopButton.disabled = false
}

function stop(): void {
  source?.close()
  show(status, 'ended')
  startButton.disabled = false
  stopButton.disabled = true
}

function add(tick: Tick, id: string): void {
  const clock = new Date(tick.time).toLocaleTimeString()
  time.textContent = clock
  addRow(String(tick.number), clock, id)
}

/** Adds a line: a tick, or a note as wide as the table. */
function addRow(...texts: [number: string, time: string, id: string] | [note: string]): void {
  empty.hidden = true
  const row = ticks.insertRow(0)
  for (const text of texts) {
    const cell = row.insertCell()
    cell.className = texts.length === 1 ? 'muted' : 'number'
    cell.colSpan = texts.length === 1 ? 3 : 1
    cell.textContent = text
  }
  if (ticks.rows.length > SHOWN) ticks.deleteRow(-1)
}

startButton.addEventListener('click', start)
stopButton.addEventListener('click', stop)
start()
