import { ask, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { isName, NAME_RULE } from '../shared/name.js'
import { hubUrl, show } from '../shared/status.js'
import { wordsOfGap } from '../shared/stream.js'
import { Room } from './room.js'

const status = element('status')
const log = element('log')
const text = element('text', 'textarea')

/** The key in sessionStorage of the name in this tab. */
const KEY = 'chat.name'
/** How long a typing notice is shown, and the interval between two notices, in milliseconds. */
const TYPING = { shown: 4_000, told: 2_000 }
/** The maximum number of shown lines. Older lines are removed. */
const SHOWN = 500

const hub = await hubUrl()
let room: Room | undefined
/** The people who are typing, each with the timer that ends the notice. */
const typing = new Map<string, ReturnType<typeof setTimeout>>()

const name = sessionStorage.getItem(KEY)
element(name === null ? 'sign-in' : 'chat').hidden = false
if (name === null) signIn()
else start(name)

function signIn(): void {
  const field = element('name', 'input')
  onSubmit(element('sign-in', 'form'), async () => {
    await ask('login', { body: { name: field.value.trim() } })
    sessionStorage.setItem(KEY, field.value.trim())
    location.reload()
  })
}

function start(name: string): void {
  addEventListener('hashchange', () => enter(name))
  enter(name)

  const other = element('other', 'input')
  onSubmit(element('go', 'form'), async () => {
    if (!isName(other.value.trim())) throw new Error(NAME_RULE)
    location.hash = other.value.trim()
    other.value = ''
  })

  let draft = { text: '', id: '' }
  let toldAt = -Infinity
  const form = element('say', 'form')
  onSubmit(form, async () => {
    const said = text.value.trim()
    if (said === '') return
    if (said !== draft.text) draft = { text: said, id: crypto.randomUUID() }
    await room?.say(said, draft.id)
    draft = { text: '', id: '' }
    text.value = ''
    toldAt = -Infinity // the message has ended the typing notice on the other pages
  })
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    form.requestSubmit()
  })
  text.addEventListener('input', () => {
    if (performance.now() - toldAt < TYPING.told) return
    toldAt = performance.now()
    room?.typing().catch(() => undefined) // a lost typing notice does no harm
  })
}

/** Enters the room in the URL. */
function enter(name: string): void {
  const asked = location.hash.slice(1)
  const called = isName(asked) ? asked : 'lobby'
  room?.leave()
  log.replaceChildren()
  showPeople([])
  for (const author of typing.keys()) stopsTyping(author)
  element('room').textContent = called
  element('empty').hidden = false
  document.querySelector('#go [role="alert"]')!.textContent = ''
  for (const link of document.querySelectorAll('nav a'))
    link.setAttribute('aria-current', String(link.getAttribute('href') === `#${called}`))

  room = new Room(hub, name, called, {
    onMessage(author, said, time) {
      element('empty').hidden = true
      stopsTyping(author)
      add(said, author, time)
    },
    onTyping(author) {
      if (author === name) return
      clearTimeout(typing.get(author))
      typing.set(
        author,
        setTimeout(() => stopsTyping(author), TYPING.shown),
      )
      showTyping()
    },
    onPeople: showPeople,
    onJoin: (who) => add(`${who} has come in.`),
    onLeave: (who) => add(`${who} has left.`),
    onGap: (event) => add(wordsOfGap(event)),
    onStatus(now, reason = '') {
      show(status, now)
      element('reason').textContent = reason
    },
  })
}

/** Adds a line: a message with its author, or a note. */
function add(words: string, author?: string, time = new Date()): void {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 50
  const line = document.createElement('p')
  const clock = document.createElement('time')
  clock.dateTime = time.toISOString()
  clock.textContent = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  line.append(clock)
  if (author === undefined) line.className = 'note'
  else {
    const who = document.createElement('strong')
    who.textContent = author
    line.append(who)
  }
  const said = document.createElement('span')
  said.textContent = words
  line.append(said)
  log.append(line)
  if (log.children.length > SHOWN) log.firstElementChild?.remove()
  if (isAtEnd) log.scrollTop = log.scrollHeight
}

function showPeople(names: string[]): void {
  element('count').textContent = String(names.length)
  element('people').replaceChildren(
    ...names.map((name) => {
      const item = document.createElement('li')
      item.textContent = name
      return item
    }),
  )
}

function stopsTyping(author: string): void {
  clearTimeout(typing.get(author))
  typing.delete(author)
  showTyping()
}

function showTyping(): void {
  const names = [...typing.keys()]
  element('typing').textContent =
    names.length === 0 ? '' : `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} typing…`
}
