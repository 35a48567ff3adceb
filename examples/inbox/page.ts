import type { HubEvent } from 'fanfare-client'
import { ask, createDraftId, onSubmit } from '../shared/ask.js'
import { create, createTime, element } from '../shared/element.js'
import { isName, NAME_RULE } from '../shared/name.js'
import { signedIn, signOut, tokenOf } from '../shared/sign-in.js'
import { connectHub, showState, wordsOfGap } from '../shared/status.js'
import type { Message } from './server.js'
import { openShelf, type Kept } from './shelf.js'

const field = (id: string) => element(id, 'input')

/** The key of the user and device in this tab. Two tabs can act as two devices. */
const KEY = 'inbox'

const { user, device, cursor } = await signedIn(sessionStorage, KEY, () => {
  const device = field('device').value.trim()
  if (!isName(device)) throw new Error(`${NAME_RULE} The same rule applies to the name of a device.`)
  return { user: field('name').value.trim(), device, cursor: field('shared').checked ? 'inbox' : `inbox-${device}` }
})

const shelf = openShelf(user, device)
for (const message of shelf.messages) add(message)
element('user').textContent = user
element('where').textContent = device
element('cursor').textContent = cursor

const hub = connectHub({ token: tokenOf(user) })
showState(hub)
let doubles = 0
let newest: string | null = null
const stop = hub.subscribe<Message>(`inbox.${user}`, take, {
  cursor,
  replay: 'all', // while the named cursor does not exist: every retained message
  onGap: (gap) => void (element('gap').textContent = wordsOfGap(gap)),
})

/** When this function returns, the tab has stored the message, and the client acknowledges it. */
function take({ id, data }: HubEvent<Message>): void {
  const message: Kept = { ...data, id: String(id) }
  if (shelf.put(message)) add(message)
  else element('doubles').textContent = String(++doubles)
  newest = id
}

const idOf = createDraftId()
onSubmit(element('send', 'form'), async () => {
  const message = { from: user, to: field('to').value.trim(), text: field('text').value.trim() }
  await ask('messages', { ...message, id: idOf(JSON.stringify(message)) })
  idOf('') // the same words are another message
  field('text').value = ''
  element('sent').textContent = `Sent to ${message.to}.`
})
element('send').addEventListener('input', () => void (element('sent').textContent = ''))

element('switch-off').addEventListener('click', () => {
  stop()
  // the last acknowledgement may be on its way; without it the hub sends the message again
  const acknowledged = newest === null ? Promise.resolve() : hub.acknowledge(cursor, newest)
  void acknowledged.catch(() => undefined).then(() => signOut(sessionStorage, KEY))
})

function add({ from, text, time }: Kept): void {
  element('empty').hidden = true
  const when = createTime(time, { dateStyle: 'short', timeStyle: 'short' })
  when.className = 'muted'
  const words = create('p', { textContent: text })
  element('messages').prepend(create('li', {}, create('strong', { textContent: from }), when, words))
}
