import type { HubState } from 'fanfare-client'
import { ask, onSubmit } from '../shared/ask.js'
import { watchConnection } from '../shared/connection.js'
import { create, createTime, element } from '../shared/element.js'
import type { Login } from '../shared/login.js'
import { signedIn, signOut } from '../shared/sign-in.js'
import { connectHub, reasonOf, showState, wordsOfGap } from '../shared/status.js'
import type { Notification, Update } from './server.js'

/** The key of the signed-in user, whom all tabs share. */
const KEY = 'notifications'
/** The maximum number of lines in a list. Older ones are removed. */
const SHOWN = 200

const to = element('to', 'input')
const text = element('text', 'input')
const { user } = await signedIn(localStorage, KEY, () => ({ user: element('name', 'input').value.trim() }))
element('user').textContent = to.value = user

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
hub.subscribe<Notification | Update>(
  `users.${user}.**`,
  ({ type = '', time, data }) => {
    const words = 'activity' in data ? `You are ${data.activity}.` : `${data.from}: ${data.text}`
    if ('activity' in data) element('activity').textContent = `, ${data.activity}`
    addLine('news', time, words, create('span', { className: `tag ${type}`, textContent: type }))
    element('empty').hidden = true
  },
  { replay: 50, onGap: (gap) => note(wordsOfGap(gap)) },
)
setInterval(() => {
  const left = Math.ceil((end - performance.now()) / 1_000)
  element('end').textContent = left > 0 ? `ends in ${left} s` : 'has ended'
}, 250)

onSubmit(element('notify', 'form'), async () => {
  await ask(`users/${encodeURIComponent(to.value.trim())}/notifications`, { from: user, text: text.value.trim() })
  text.value = ''
})
onSubmit(element('update', 'form'), async () => {
  await ask(`users/${user}/updates`, { activity: element('choice', 'select').value })
})
element('sign-out').addEventListener('click', () => signOut(localStorage, KEY))

/** Adds a line to the log of the connection, unless it repeats the newest line. */
function note(words: string): void {
  const newest = document.querySelector('#log .words')?.textContent
  if (newest !== words || words.endsWith('renewed')) addLine('log', new Date(), words)
}

function addLine(list: string, time: Date | string, words: string, ...more: Node[]): void {
  const line = create('li', {}, createTime(time), create('span', { className: 'words', textContent: words }), ...more)
  element(list).prepend(line)
  element(list).children[SHOWN]?.remove()
}

function wordsOf(state: HubState): string {
  if (state.status !== 'waiting') return element('status').textContent
  return state.reason === 'expired' ? 'The hub ended the stream: expired' : `Reconnecting… ${reasonOf(state)}`.trim()
}
