import { element } from '../shared/element.js'
import { hubUrl, show } from '../shared/status.js'
import type { Reading } from './server.js'
import { TopicStream } from './topic-stream.js'
import { NOTICE, topicOf, WIDGETS, type Value, type Widget, type WidgetName } from './widgets.js'

const error = element('error')
const empty = element('empty')

/** The widgets that are on at the first visit. */
const FIRST: WidgetName[] = ['temperature', 'departures', 'headline']

/** The elements of a widget: its switch, card, value and time. */
interface Parts {
  input: HTMLInputElement
  card: HTMLElement
  value: HTMLElement
  time: HTMLTimeElement
}

const parts = new Map<string, Parts>(WIDGETS.map((widget) => [widget.name, build(widget)]))

const stream = new TopicStream({
  hub: await hubUrl(),
  always: topicOf(NOTICE),
  on: {
    [NOTICE]: ({ data }) => void (element('notice').textContent = data),
    ...Object.fromEntries(
      WIDGETS.map((widget) => [
        widget.name,
        ({ data }: MessageEvent<string>) => update(widget, JSON.parse(data) as Reading),
      ]),
    ),
  },
  onStatus(status, reason = '') {
    show(element('status'), status)
    error.textContent = reason
  },
  onConnection({ id, topics, changes }) {
    element('connection').textContent = id
    element('changes').textContent = changes === 1 ? 'once' : `${changes} times`
    element('topics').textContent = String(topics.size)
  },
  onRefusal(topics, reason) {
    error.textContent = reason
    for (const { name } of WIDGETS) if (topics.includes(topicOf(name))) turn(name, false)
  },
})

const asked = new URLSearchParams(location.search).get('on')?.split(',') ?? FIRST
for (const { name } of WIDGETS) turn(name, asked.includes(name))

/** Switches a widget on or off. The selected widgets are in the page's URL, so reloads and bookmarks keep them. */
function turn(name: string, isOn: boolean): void {
  const { input, card, value, time } = parts.get(name)!
  input.checked = isOn
  card.hidden = !isOn
  if (isOn) stream.add(topicOf(name))
  else {
    stream.remove(topicOf(name))
    value.textContent = 'Waiting…'
    time.textContent = ''
  }
  const on = WIDGETS.filter((widget) => parts.get(widget.name)!.input.checked)
  empty.hidden = on.length > 0
  history.replaceState(null, '', `?on=${on.map((widget) => widget.name).join(',')}`)
}

function update(widget: Widget, { value, time }: Reading): void {
  const { input, value: content, time: when } = parts.get(widget.name)!
  if (!input.checked) return // the event was sent before the widget was switched off
  content.replaceChildren(...contentOf(widget, value))
  when.dateTime = time
  when.textContent = new Date(time).toLocaleTimeString()
}

function contentOf({ unit, digits = 0 }: Widget, value: Value): (string | Node)[] {
  if (typeof value === 'number')
    return [
      `${value.toLocaleString(undefined, { minimumFractionDigits: digits })}${unit === undefined ? '' : ` ${unit}`}`,
    ]
  if (typeof value === 'string') return [value]
  const list = create('ul', { className: 'list' })
  list.append(...value.map((text) => create('li', { textContent: text })))
  return [list]
}

function build({ name, title }: Widget): Parts {
  const input = create('input', { type: 'checkbox' })
  input.setAttribute('role', 'switch')
  input.addEventListener('change', () => {
    error.textContent = ''
    turn(name, input.checked)
  })
  const label = create('label', {})
  label.append(input, title)
  element('switches').append(label)

  const card = create('article', { className: 'card', hidden: true })
  card.setAttribute('aria-label', title)
  const value = create('div', { className: 'value number', textContent: 'Waiting…' })
  const time = create('time', { className: 'muted number' })
  card.append(create('h3', { textContent: title }), value, time)
  element('widgets').append(card)
  return { input, card, value, time }
}

function create<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
): HTMLElementTagNameMap[Name] {
  return Object.assign(document.createElement(name), properties)
}
