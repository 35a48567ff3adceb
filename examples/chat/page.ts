import type { HubEvent, Stop } from 'fanfare-client'
import { createDraftId, onSubmit } from '../shared/ask.js'
import { create, createTime, element, stayAtEnd } from '../shared/element.js'
import { isName, NAME_RULE } from '../shared/name.js'
import { createPeople, createTyping } from '../shared/people.js'
import { signedIn, tokenOf } from '../shared/sign-in.js'
import { connectHub, showState, wordsOfGap } from '../shared/status.js'

const log = element('log')
const text = element('text', 'textarea')
const say = element('say', 'form')

const { user } = await signedIn(sessionStorage, 'chat', () => ({ user: element('name', 'input').value.trim() }))
const hub = connectHub({ token: tokenOf(user) })
showState(hub)
stayAtEnd(log)

let topic: string
let leave: Stop[] = []
const people = createPeople(hub, user, addNote)
const typing = createTyping()

/** Enters the room in the URL: people are present on `rooms.<room>`, and publish to `rooms.<room>.<name>`. */
function enter(): void {
  const asked = location.hash.slice(1)
  const room = isName(asked) ? asked : 'lobby'
  for (const stop of leave) stop()
  log.replaceChildren()
  people.clear()
  typing.clear()
  element('room').textContent = room
  element('empty').hidden = false
  for (const link of document.querySelectorAll('nav a'))
    link.setAttribute('aria-current', String(link.getAttribute('href') === `#${room}`))
  topic = `rooms.${room}`
  leave = [
    hub.presence(topic, people.show),
    // with presence like the line above, so that both subscriptions share one stream
    hub.subscribe(`${topic}.*`, take, { replay: 50, presence: true, onGap: (gap) => addNote(wordsOfGap(gap)) }),
  ]
}

/** Shows a message or a typing notice. A token grants its own name only, so the topic proves the author. */
function take({ topic, type, text = '', time }: HubEvent): void {
  const author = topic.slice(topic.lastIndexOf('.') + 1)
  if (type === 'typing' && author !== user) typing.add(author)
  if (type !== 'message') return
  typing.remove(author)
  addLine('', time, create('strong', { textContent: author }), create('span', { textContent: text }))
}

function addNote(words: string): void {
  addLine('note', new Date(), create('span', { textContent: words }))
}

function addLine(className: string, time: Date | string, ...parts: Node[]): void {
  element('empty').hidden ||= className === ''
  log.append(create('p', { className }, createTime(time, { timeStyle: 'short' }), ...parts))
  if (log.children.length > 500) log.firstElementChild?.remove()
}

const idOf = createDraftId()
onSubmit(say, async () => {
  const said = text.value.trim()
  if (said === '') return
  await hub.publish(`${topic}.${user}`, { type: 'message', text: said, id: idOf(said) }, { timeout: 5_000 })
  idOf('') // the same words are another message
  text.value = ''
  typing.said()
})
text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  say.requestSubmit()
})
text.addEventListener('input', () => {
  if (!typing.mayTell()) return
  const notice = { type: 'typing', text: '', ephemeral: true }
  hub.publish(`${topic}.${user}`, notice).catch(() => undefined) // a lost notice does no harm
})

const other = element('other', 'input')
onSubmit(element('go', 'form'), async () => {
  if (!isName(other.value.trim())) throw new Error(NAME_RULE)
  location.hash = other.value.trim()
  other.value = ''
})
addEventListener('hashchange', enter)
enter()
