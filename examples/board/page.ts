import type { HubEvent, Stop } from 'fanfare-client'
import { messageOf } from '../shared/ask.js'
import { watchConnection } from '../shared/connection.js'
import { create, element } from '../shared/element.js'
import { tokenOf } from '../shared/sign-in.js'
import { connectHub, showState } from '../shared/status.js'
import { WIDGETS, type Value } from './widgets.js'

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
hub.subscribe('board.notice', ({ text = '' }) => void (element('notice').textContent = text), { replay: 'latest' })

/** The names of the widgets that are on, each with the end of its subscription. */
const on = new Map<string, Stop>()
const asked = new URLSearchParams(location.search).get('on') ?? 'temperature,departures,headline'
for (const [name, { title }] of Object.entries(WIDGETS)) addWidget(name, title, asked.split(',').includes(name))

function addWidget(name: string, title: string, isOn: boolean): void {
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
    if (isOn) on.set(name, hub.subscribe<Value>(`board.${name}`, show, { replay: 'latest', onError: refuse }))
    input.checked = isOn
    card.hidden = !isOn
    value.textContent = 'Waiting…'
    clock.textContent = ''
    showSelection()
  }

  function show({ data, time }: HubEvent<Value>): void {
    const items = [data].flat().map((textContent) => create('li', { textContent }))
    value.replaceChildren(typeof data === 'string' ? data : create('ul', { className: 'list' }, ...items))
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
  element('empty').hidden = on.size > 0
  element('topics').textContent = String(on.size + 1) // and the notice
  history.replaceState(null, '', `?on=${[...on.keys()].join(',')}`)
}
