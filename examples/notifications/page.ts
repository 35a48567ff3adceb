import { ask, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { hubUrl, show, type Status } from '../shared/status.js'
import { openStream, wordsOfGap } from '../shared/stream.js'
import type { Notification, UserUpdate } from './server.js'
import { Session } from './session.js'

const status = element('status')
const news = element('news', 'ul')
const empty = element('empty')
const log = element('log', 'ol')
const renewals = element('renewals')
const activity = element('activity')

/** The localStorage key of the signed-in user. All tabs share it, as they share the hub's cookie. */
const KEY = 'notifications.user'
/** The maximum number of shown events and log lines. Older ones are removed. */
const SHOWN = { events: 200, log: 30 }

const user = localStorage.getItem(KEY)
addEventListener('storage', ({ key }) => key === KEY && location.reload())
element(user === null ? 'sign-in' : 'desk').hidden = false
if (user === null) signIn()
else start(user, await hubUrl())

function signIn(): void {
  const name = element('name', 'input')
  onSubmit(element('sign-in', 'form'), async () => {
    await ask('login', { body: { user: name.value.trim() } })
    localStorage.setItem(KEY, name.value.trim())
    location.reload()
  })
}

function start(user: string, hub: string): void {
  let end = 0
  let renewed = 0

  const session = new Session(hub, user, {
    onToken: (until) => (end = until),
    onRenewed() {
      renewals.textContent = String(++renewed)
      note('The token was renewed')
    },
    onFailure: (reason) => note(`The token was not renewed: ${reason}`),
  })

  const stream = openStream({
    withCredentials: true,
    async url() {
      await session.begin()
      return `${hub}/topics/users.${user}.**/events?replay=50`
    },
    on: {
      'fanfare.open': ({ data }) => {
        session.connection = (JSON.parse(data) as { connection: string }).connection
        element('connection').textContent = session.connection
      },
      'fanfare.close': ({ data }) =>
        note(`The hub ended the stream: ${(JSON.parse(data) as { reason: string }).reason}`),
      'fanfare.gap': (event) => note(wordsOfGap(event)),
      notification: ({ data }) => {
        const { from, text, time } = JSON.parse(data) as Notification
        add('notification', time, `${from}: ${text}`)
      },
      userUpdate: ({ data }) => {
        const update = JSON.parse(data) as UserUpdate
        activity.textContent = `, ${update.activity}`
        add('userUpdate', update.time, `You are ${update.activity}.`)
      },
    },
    onStatus(now, reason) {
      if (now !== 'live') session.connection = undefined
      display(now, reason)
    },
  })

  element('user').textContent = user
  element('to', 'input').value = user
  setInterval(() => void (element('end').textContent = wordsOfEnd(end - performance.now())), 250)

  const text = element('text', 'input')
  onSubmit(element('notify', 'form'), async () => {
    await ask('notifications', {
      body: { from: user, to: element('to', 'input').value.trim(), text: text.value.trim() },
    })
    text.value = ''
  })
  onSubmit(element('update', 'form'), async () => {
    await ask('updates', { body: { user, activity: element('choice', 'select').value } })
  })
  element('sign-out').addEventListener('click', () => {
    stream.close()
    localStorage.removeItem(KEY)
    void session.end().finally(() => location.reload())
  })
}

let shown: Status | undefined

function display(now: Status, reason?: string): void {
  show(status, now)
  if (now !== shown || reason !== undefined) note(`${status.textContent}${reason === undefined ? '' : ` ${reason}`}`)
  shown = now
}

/** Adds a line to the log of the connection, unless it repeats the newest line (renewals are always added). */
function note(text: string): void {
  if (log.querySelector('.words')?.textContent === text && !text.endsWith('renewed')) return
  log.prepend(line(new Date(), text))
  log.children[SHOWN.log]?.remove()
}

function add(type: string, time: string, text: string): void {
  const tag = document.createElement('span')
  tag.className = `tag ${type}`
  tag.textContent = type
  const item = line(new Date(time), text)
  item.append(tag)
  news.prepend(item)
  news.children[SHOWN.events]?.remove()
  empty.hidden = true
}

function line(time: Date, text: string): HTMLLIElement {
  const item = document.createElement('li')
  const clock = document.createElement('time')
  clock.dateTime = time.toISOString()
  clock.textContent = time.toLocaleTimeString()
  const words = document.createElement('span')
  words.className = 'words'
  words.textContent = text
  item.append(clock, words)
  return item
}

function wordsOfEnd(left: number): string {
  return left > 0 ? `ends in ${Math.ceil(left / 1_000)} s` : 'has ended'
}
