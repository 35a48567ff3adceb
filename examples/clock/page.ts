import { element } from '../shared/element.js'
import { hubUrl, show, watch } from '../shared/status.js'
import type { Tick } from './server.js'

const status = element('status')
const time = element('time')
const ticks = element('ticks', 'tbody')
const empty = element('empty')
const startButton = element('start', 'button')
const stopButton = element('stop', 'button')

/** How many ticks are shown: the older ones make room. */
const SHOWN = 50

const hub = await hubUrl()
let source: EventSource | undefined
/** The id of the newest tick: where the next stream goes on. */
let lastId: string | undefined

function start(): void {
  const query = new URLSearchParams(lastId === undefined ? { replay: '5' } : { lastEventId: lastId })
  source = new EventSource(`${hub}/topics/clock/events?${query}`)
  source.addEventListener('message', (event: MessageEvent<string>) => {
    lastId = event.lastEventId
    add(JSON.parse(event.data) as Tick, lastId)
  })
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
  empty.hidden = true
  const row = ticks.insertRow(0)
  for (const text of [String(tick.number), clock, id]) {
    const cell = row.insertCell()
    cell.className = 'number'
    cell.textContent = text
  }
  if (ticks.rows.length > SHOWN) ticks.deleteRow(-1)
}

startButton.addEventListener('click', start)
stopButton.addEventListener('click', stop)
start()
