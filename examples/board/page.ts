import type { HubEvent, Stop } from 'fanfare-client'
import { messageOf } from '../shared/ask.js'
import { watchConnection } from '../shared/connection.js'
import { create, element } from '../shared/element.js'
import { tokenOf } from '../shared/sign-in.js'
import { connectHub, showState } from '../shared/status.js'
import { topicOf, WIDGETS, type Value, type Widget, type WidgetName } from './widgets.js'

/** The widgets that are on at the first visit. */
const FIRST = ['temperature', 'departures', 'headline']

const visitor = (localStorage['board'] ??= crypto.randomUUID()) as string
const hub = connectHub({
  token: tokenOf(visitor),
  tabs: false, // each tab shows its own connection
  fetch: watchConnection((id, changes) => {
    element('connection').textContent = id
    element('changes').textContent = changes === 1 ? 'once' : `${changes} times`
  }),
})
showState(hub)
hub.subscribe(topicOf('notice'), ({ text = '' }) => void (element('notice').textContent = text), { replay: 'latest' })

const asked = new URLSearchParams(location.search).get('on')?.split(',') ?? FIRST
/** The widgets that are on, each with the end of its subscription. */
const on = new Map<WidgetName, Stop>()
for (const widget of WIDGETS) addWidget(widget, asked.includes(widget.name))

function addWidget(widget: Widget & { name: WidgetName }, isOn: boolean): void {
  const { name, title } = widget
  const input = create('input', { type: 'checkbox', role: 'switch' })
  const value = create('div', { className: 'value number' })
  const clock = create('time', { className: 'muted number' })
  const heading = create('h3', { textContent: title })
  const card = create('article', { className: 'card', ariaLabel: title }, heading, value, clock)
  element('switches').append(create('label', {}, input, title))
  element('widgets').append(card)

  /** The client adds the topic to the open connection, or removes it. */
  function turn(isOn: boolean): void {
    on.get(name)?.()
    on.delete(name)
    if (isOn) on.set(name, hub.subscribe<Value>(topicOf(name), show, { replay: 'latest', onError: refuse }))
    input.checked = isOn
    card.hidden = !isOn
    value.textContent = 'Waiting…'
    clock.textContent = ''
    showSelection()
  }

  function show({ data, time }: HubEvent<Value>): void {
    value.replaceChildren(contentOf(widget, data))
    clock.dateTime = time
    clock.textContent = new Date(time).toLocaleTimeString()
  }

  function refuse(error: unknown): void {
    element('error').textContent = messageOf(error)
    turn(false)
  }

  input.addEventListener('change', () => {
    element('error').textContent = ''
    turn(input.checked)
  })
  turn(isOn)
}

/** Counts the topics, and keeps the selected widgets in the page's URL for reloads and bookmarks. */
function showSelection(): void {
  const names = WIDGETS.map(({ name }) => name).filter((name) => on.has(name))
  element('empty').hidden = names.length > 0
  element('topics').textContent = String(names.length + 1) // and the notice
  history.replaceState(null, '', `?on=${names.join(',')}`)
}

function contentOf({ unit = '', digits = 0 }: Widget, value: Value): Node | string {
  if (typeof value === 'string') return value
  if (typeof value === 'number')
    return `${value.toLocaleString(undefined, { minimumFractionDigits: digits })} ${unit}`.trim()
  return create('ul', { className: 'list' }, ...value.map((textContent) => create('li', { textContent })))
}
