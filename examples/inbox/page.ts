import { ask, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { isName, NAME_RULE } from '../shared/name.js'
import { hubUrl, show } from '../shared/status.js'
import { openStream, wordsOfGap } from '../shared/stream.js'
import type { Login, Message } from './server.js'
import { Receipts } from './receipts.js'
import { Shelf, type Kept } from './shelf.js'

const field = (id: string) => element(id, 'input')
const list = element('messages', 'ul')

/** The signed-in user, the device, and the named cursor. */
interface Desk {
  user: string
  device: string
  cursor: string
}

/** The key in sessionStorage. Each tab has its own, so two tabs can act as two devices. */
const KEY = 'inbox.desk'

const desk = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Desk | null
element(desk === null ? 'sign-in' : 'desk').hidden = false
if (desk === null) signIn()
else start(desk, await hubUrl())

function signIn(): void {
  onSubmit(element('sign-in', 'form'), async () => {
    const user = field('name').value.trim()
    const device = field('device').value.trim()
    if (!isName(device)) throw new Error(`${NAME_RULE} The same rule applies to the name of a device.`)
    await ask('login', { body: { user } })
    const cursor = field('shared').checked ? 'inbox' : `inbox-${device}`
    sessionStorage.setItem(KEY, JSON.stringify({ user, device, cursor } satisfies Desk))
    location.reload()
  })
}

function start({ user, device, cursor }: Desk, hub: string): void {
  const shelf = new Shelf(user, device)
  for (const message of shelf.messages) add(message)
  element('user').textContent = user
  element('where').textContent = device
  element('cursor').textContent = cursor

  const login = async () => (await ask<Login>('login', { body: { user } })).token
  const receipts = new Receipts(async (id) => {
    await ask(`${hub}/cursors/${cursor}`, { method: 'PUT', body: { id }, token: await login() })
  })
  let doubles = 0
  const stream = openStream({
    async url() {
      const token = await login()
      const { ticket } = await ask<{ ticket: string }>(`${hub}/tickets`, { token })
      // While the named cursor does not exist, replay=all sends every retained message.
      return `${hub}/topics/inbox.${user}/events?${new URLSearchParams({ cursor, replay: 'all', ticket })}`
    },
    on: {
      message({ data, lastEventId }) {
        const message: Kept = { ...(JSON.parse(data) as Message), id: lastEventId }
        if (shelf.put(message)) add(message)
        else element('doubles').textContent = String(++doubles)
        receipts.acknowledge(lastEventId) // the tab has stored the message
      },
      'fanfare.gap': (event) => void (element('gap').textContent = wordsOfGap(event)),
    },
    onStatus(now, reason = '') {
      show(element('status'), now)
      element('reason').textContent = reason
    },
  })

  let draft = { words: '', id: '' }
  onSubmit(element('send', 'form'), async () => {
    const message = { from: user, to: field('to').value.trim(), text: field('text').value.trim() }
    const words = JSON.stringify(message)
    if (words !== draft.words) draft = { words, id: crypto.randomUUID() }
    await ask('messages', { body: { ...message, id: draft.id } })
    draft = { words: '', id: '' }
    field('text').value = ''
    element('sent').textContent = `Sent to ${message.to}.`
  })
  element('send').addEventListener('input', () => void (element('sent').textContent = ''))

  element('switch-off').addEventListener('click', () => {
    stream.close()
    sessionStorage.removeItem(KEY)
    void receipts.settle().then(() => location.reload())
  })
}

function add({ from, text, time }: Kept): void {
  element('empty').hidden = true
  const item = document.createElement('li')
  const who = document.createElement('strong')
  who.textContent = from
  const clock = document.createElement('time')
  clock.className = 'muted'
  clock.dateTime = time
  clock.textContent = new Date(time).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' })
  const words = document.createElement('p')
  words.textContent = text
  item.append(who, clock, words)
  list.prepend(item)
}
