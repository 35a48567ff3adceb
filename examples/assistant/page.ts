import type { HubEvent } from 'fanfare-client'
import { ask, createDraftId, messageOf, onSubmit } from '../shared/ask.js'
import { element, stayAtEnd } from '../shared/element.js'
import { tokenOf } from '../shared/sign-in.js'
import { connectHub, showState, wordsOfGap } from '../shared/status.js'
import type { Question } from './server.js'

/** A question and its answer, whose newest topic is `topic`. */
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
const exchanges = new Map<string, Exchange>()
const chat = (localStorage['assistant'] ??= crypto.randomUUID()) as string // all tabs have the same chat

const hub = connectHub({ token: tokenOf(chat) })
showState(hub)
stayAtEnd(log)
// First the whole chat, then each word as it is written. A reload, a second tab and a reconnect need no other code.
hub.subscribe<string | { question: string }>(`chats.${chat}.**`, take, {
  from: 'start',
  onEnd: ({ topic, end }) => show(exchangeOf(topic), end),
  onGap: (gap) => void (element('gap').textContent = wordsOfGap(gap)),
})

/** A topic `chats.<chat>.<id>.<start>` has the question, and then the words of the answer from `start` on. */
function take({ topic, data }: HubEvent<string | { question: string }>): void {
  const exchange = exchangeOf(topic)
  if (typeof data === 'string') {
    exchange.item.querySelector('.answer')!.append(data)
    exchange.start++ // where the answer would go on
  } else {
    exchange.item.querySelector('.question')!.textContent = data.question
    Object.assign(exchange, { topic, question: data.question })
    show(exchange, 'writing')
  }
}

function exchangeOf(topic: string): Exchange {
  const id = topic.split('.')[2]!
  const known = exchanges.get(id)
  if (known) return known
  element('empty').hidden = true
  log.append(element('exchange', 'template').content.cloneNode(true))
  const added: Exchange = { id, topic, question: '', start: 0, item: log.lastElementChild as HTMLElement }
  exchanges.set(id, added)
  return added
}

/** Shows whether an answer is being written, or how it has ended. */
function show(exchange: Exchange, state: string): void {
  const { id, topic, item } = exchange
  const isWriting = state === 'writing'
  const button = item.querySelector('button')!
  const words = item.querySelector('.state')!
  item.ariaBusy = String(isWriting)
  words.textContent = STATES[state] ?? state
  if (state === 'done' && document.activeElement === button) text.focus() // the focus would be lost with the button
  button.hidden = state === 'done'
  button.textContent = isWriting ? 'Stop' : 'Go on'
  button.onclick = () => {
    const asked: Promise<unknown> = isWriting
      ? hub.request('POST', `streams/${topic.replaceAll('.', '/')}/cancel`)
      : ask('questions', { chat, id, question: exchange.question, start: exchange.start })
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
