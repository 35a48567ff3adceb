import type { HubEvent } from 'fanfare-client'
import { ask, createDraftId, messageOf, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { tokenOf } from '../shared/sign-in.js'
import { connectHub, showState, wordsOfGap } from '../shared/status.js'
import type { Question } from './server.js'

/** A question and its answer. An answer that goes on after an interruption has another topic. */
interface Exchange extends Omit<Question, 'chat'> {
  topic: string
  item: HTMLElement
}

const STATES: Record<string, string> = {
  writing: 'Writing…',
  done: '',
  cancelled: 'Stopped.',
  error: 'Interrupted: the server that wrote it has died.',
}

const log = element('log')
const text = element('text', 'input')
const template = element('exchange', 'template')
const exchanges = new Map<string, Exchange>()
const chat = (localStorage['assistant'] ??= crypto.randomUUID()) as string // all tabs have the same chat

const hub = connectHub({ token: tokenOf(chat) })
showState(hub)
// First the whole chat, then each word as it is written. A reload, a second tab and a reconnect need no other code.
hub.subscribe<string | { question: string }>(`chats.${chat}.**`, take, {
  from: 'start',
  onEnd: ({ topic, end }) => show(exchangeOf(topic), end),
  onGap: (gap) => void (element('gap').textContent = wordsOfGap(gap)),
})

/** A topic `chats.<chat>.<id>.<start>` has the question, and then the words of the answer from `start` on. */
function take({ topic, data }: HubEvent<string | { question: string }>): void {
  const exchange = exchangeOf(topic)
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 50
  if (typeof data === 'string') {
    exchange.item.querySelector('.answer')!.append(data)
    exchange.start++ // where the answer would go on
  } else {
    exchange.item.querySelector('.question')!.textContent = data.question
    Object.assign(exchange, { topic, question: data.question })
    show(exchange, 'writing')
  }
  if (isAtEnd) log.scrollTop = log.scrollHeight
}

function exchangeOf(topic: string): Exchange {
  const id = topic.split('.')[2]!
  const known = exchanges.get(id)
  if (known) return known
  element('empty').hidden = true
  log.append(template.content.cloneNode(true))
  const added: Exchange = { id, topic, question: '', start: 0, item: log.lastElementChild as HTMLElement }
  exchanges.set(id, added)
  return added
}

/** Shows whether an answer is being written, or how it has ended. */
function show(exchange: Exchange, state: string): void {
  const { id, topic, item } = exchange
  const button = item.querySelector('button')!
  const words = item.querySelector('.state')!
  item.ariaBusy = String(state === 'writing')
  words.textContent = STATES[state] ?? state
  if (state === 'done' && document.activeElement === button) text.focus() // the focus would be lost with the button
  button.hidden = state === 'done'
  button.textContent = state === 'writing' ? 'Stop' : 'Go on'
  button.onclick = () => {
    const stop = () => hub.request('POST', `streams/${topic.replaceAll('.', '/')}/cancel`)
    const goOn = () => ask('questions', { chat, id, question: exchange.question, start: exchange.start })
    const asked: Promise<unknown> = state === 'writing' ? stop() : goOn()
    asked.catch((error: unknown) => void (words.textContent = messageOf(error)))
  }
}

const idOf = createDraftId()
onSubmit(element('ask', 'form'), async () => {
  const question = text.value
  await ask('questions', { chat, id: idOf(question), question, start: 0 } satisfies Question)
  idOf('') // the same words are another question
  text.value = ''
})
element('new').addEventListener('click', () => {
  localStorage.removeItem('assistant')
  location.reload()
})
