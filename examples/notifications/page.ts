import type { HubState } from 'fanfare-client'
import { ask, onSubmit } from '../shared/ask.js'
import { watchConnection } from '../shared/connection.js'
import { create, createTime, element } from '../shared/element.js'
import { signedIn, signOut } from '../shared/sign-in.js'
import { connectHub, reasonOf, showState, wordsOfGap } from '../shared/status.js'
import type { Login, Notification, UserUpdate } from './server.js'

/** The key of the signed-in user, whom all tabs share. */
const KEY = 'notifications'
/** The maximum number of shown events and log lines. Older ones are removed. */
const SHOWN = { events: 200, log: 30 }

const news = element('news')
const log = element('log')
const { user } = await signedIn(localStorage, KEY, () => ({ user: element('name', 'input').value.trim() }))
element('user').textContent = user
element('to', 'input').value = user

/** When the token expires, on the clock of `performance.now()`, and how many tokens there were before it. */
let end = 0
let renewed = -1

/** The client calls this function before the token expires. The stream gets the new token and stays open. */
async function fetchToken(): Promise<string> {
  const { token, lifetime } = await ask<Login>('login', { user })
  end = performance.now() + lifetime
  element('renewals').textContent = String(++renewed)
  if (renewed > 0) note('The token was renewed')
  return token
}

const hub = connectHub({
  token: fetchToken,
  tabs: false, // each tab shows its own token and connection
  fetch: watchConnection((id) => (element('connection').textContent = id)),
})
showState(hub)
hub.on('state', (state) => note(wordsOf(state)))
hub.subscribe<Notification | UserUpdate>(
  `users.${user}.**`,
  ({ type = '', data }) => {
    if ('activity' in data) element('activity').textContent = `, ${data.activity}`
    add(type, data.time, 'activity' in data ? `You are ${data.activity}.` : `${data.from}: ${data.text}`)
  },
  { replay: 50, onGap: (gap) => note(wordsOfGap(gap)) },
)
setInterval(() => void (element('end').textContent = wordsOfEnd(end - performance.now())), 250)

const text = element('text', 'input')
onSubmit(element('notify', 'form'), async () => {
  await ask('notifications', { from: user, to: element('to', 'input').value.trim(), text: text.value.trim() })
  text.value = ''
})
onSubmit(element('update', 'form'), async () => {
  await ask('updates', { user, activity: element('choice', 'select').value })
})
element('sign-out').addEventListener('click', () => signOut(localStorage, KEY))

/** Adds a line to the log of the connection, unless it repeats the newest line. */
function note(words: string): void {
  if (log.querySelector('.words')?.textContent === words && !words.endsWith('renewed')) return
  log.prepend(line(new Date(), words))
  log.children[SHOWN.log]?.remove()
}

function add(type: string, time: string, words: string): void {
  const item = line(time, words)
  item.append(create('span', { className: `tag ${type}`, textContent: type }))
  news.prepend(item)
  news.children[SHOWN.events]?.remove()
  element('empty').hidden = true
}

function line(time: Date | string, words: string): HTMLLIElement {
  return create('li', {}, createTime(time), create('span', { className: 'words', textContent: words }))
}

function wordsOf(state: HubState): string {
  if (state.status !== 'waiting') return element('status').textContent
  return state.reason === 'expired' ? 'The hub ended the stream: expired' : `Reconnecting… ${reasonOf(state)}`.trim()
}

function wordsOfEnd(left: number): string {
  return left > 0 ? `ends in ${Math.ceil(left / 1_000)} s` : 'has ended'
}
