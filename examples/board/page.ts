import type { Stop } from 'fanfare-client'
import { watchConnection } from '../shared/connection.js'
import { create, element } from '../shared/element.js'
import { tokenOf } from '../shared/sign-in.js'
import { connectHub, showState } from '../shared/status.js'
import type { Reading } from './server.js'
import { NOTICE, topicOf, WIDGETS, type Value, type Widget, type WidgetName } from './widgets.js'

/** The widgets that are on at the first visit. */
const FIRST: WidgetName[] = ['temperature', 'departures', 'headline']

const visitor = (localStorage['board'] ??= crypto.randomUUID()) as string
const hub = connectHub({
  token: tokenOf({ visitor }),
  tabs: false, // each tab shows its own connection
  fetch: watchConnection((id, changes) => {
    element('connection').textContent = id
    element('changes').textContent = changes === 1 ? 'once' : `${changes} times`
  }),
})
showState(hub)
hub.subscribe(topicOf(NOTICE), ({ text = '' }) => void (element('notice').textContent = text), { replay: 'latest' })

const switches = new Map(WIDGETS.map((widget) => [widget.name, build(widget)]))
const asked = new URLSearchParams(location.search).get('on')?.split(',') ?? FIRST
for (const [name, turn] of switches) turn(asked.includes(name))

/** Adds a widget. Returns a function that switches it on or off. */
function build(widget: Widget): (isOn: boolean) => void {
  const input = create('input', { type: 'checkbox', role: 'switch' })
  const value = create('div', { className: 'value number' })
  const time = create('time', { className: 'muted number' })
  const title = create('h3', { textContent: widget.title })
  const card = create('article', { className: 'card', ariaLabel: widget.title }, title, value, time)
  element('switches').append(create('label', {}, input, widget.title))
  element('widgets').append(card)
  input.addEventListener('change', () => {
    element('error').textContent = ''
    turn(input.checked)
  })
  let stop: Stop | undefined

  /** The client adds the topic to the open connection, or removes it. */
  function turn(isOn: boolean): void {
    stop?.()
    stop = isOn ? hub.subscribe<Reading>(topicOf(widget.name), show, { replay: 'latest', onError: refused }) : undefined
    input.checked = isOn
    card.hidden = !isOn
    value.textContent = 'Waiting…'
    time.textContent = ''
    showSelection()
  }

  function show({ data }: { data: Reading }): void {
    value.replaceChildren(contentOf(widget, data.value))
    time.dateTime = data.time
    time.textContent = new Date(data.time).toLocaleTimeString()
  }

  function refused(error: unknown): void {
    element('error').textContent = error instanceof Error ? error.message : String(error)
    turn(false)
  }

  return turn
}

/** Counts the topics, and keeps the selected widgets in the page's URL for reloads and bookmarks. */
function showSelection(): void {
  const on = [...document.querySelectorAll<HTMLInputElement>('[role="switch"]')].map(({ checked }) => checked)
  const names = WIDGETS.filter((_, index) => on[index]).map(({ name }) => name)
  element('empty').hidden = names.length > 0
  element('topics').textContent = String(names.length + 1) // and the notice
  history.replaceState(null, '', `?on=${names.join(',')}`)
}

function contentOf({ unit, digits = 0 }: Widget, value: Value): Node | string {
  if (typeof value === 'string') return value
  if (typeof value === 'number')
    return `${value.toLocaleString(undefined, { minimumFractionDigits: digits })}${unit === undefined ? '' : ` ${unit}`}`
  return create('ul', { className: 'list' }, ...value.map((textContent) => create('li', { textContent })))
}
