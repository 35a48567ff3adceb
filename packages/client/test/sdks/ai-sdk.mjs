/** A chat of the AI SDK whose answers are finite topics. Prints what each tab shows, as JSON. */
/* global AbortController, console, fetch, Response, structuredClone */
import { env } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { AbstractChat, convertToModelMessages, simulateReadableStream, streamText } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'
import { connect } from 'fanfare-client'
import { createChatTransport } from 'fanfare-client/ai-sdk'

const { HUB, TOKEN } = env
const WORDS = ['One ', 'two ', 'three ', 'four ', 'five.']

/** A model that streams words, and says whether it was stopped. */
function modelOf(words, stopped) {
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
  const chunks = [
    { type: 'stream-start', warnings: [] },
    { type: 'text-start', id: '1' },
    ...words.map((delta) => ({ type: 'text-delta', id: '1', delta })),
    { type: 'text-end', id: '1' },
    { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage },
  ]
  return new MockLanguageModelV4({
    async doStream({ abortSignal }) {
      abortSignal.addEventListener('abort', () => stopped(true))
      return { stream: simulateReadableStream({ chunks, chunkDelayInMs: 20 }) }
    },
  })
}

/** The application: it names the newest answer of each chat, and writes the chunks over HTTP. */
const answers = new Map()
const stops = new Map()
async function application(url, init) {
  if (init.method === 'GET') {
    const stream = answers.get(url.split('/').at(-2))
    return stream === undefined ? new Response(null, { status: 204 }) : Response.json({ stream })
  }
  const { id, messages } = JSON.parse(init.body)
  const path = `chats/${id}/${answers.size}`
  await ask('PUT', path)
  answers.set(id, path.replaceAll('/', '.'))
  const stopping = new AbortController()
  stops.set(id, false)
  const words = id === 'long' ? Array.from({ length: 500 }, () => 'word ') : WORDS
  const answer = streamText({
    model: modelOf(words, (value) => stops.set(id, value)),
    messages: await convertToModelMessages(messages),
    abortSignal: stopping.signal,
  })
  void write(path, answer.toUIMessageStream({ generateMessageId: () => `answer-${id}` }), stopping)
  return Response.json({ stream: answers.get(id) })
}

async function write(path, chunks, stopping) {
  for await (const chunk of chunks) {
    if ((await ask('POST', path, [chunk])) === 409) return stopping.abort()
  }
  await ask('POST', path, undefined, { 'stream-closed': 'true' })
}

async function ask(method, path, body, headers) {
  const { status } = await fetch(`${HUB}/streams/${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    ...(body && { body: JSON.stringify(body) }),
  })
  return status
}

/** A tab with its own connection to the hub. */
class Tab extends AbstractChat {
  constructor(id, messages = []) {
    const state = {
      status: 'ready',
      messages,
      pushMessage: (message) => (state.messages = [...state.messages, message]),
      popMessage: () => (state.messages = state.messages.slice(0, -1)),
      replaceMessage: (index, message) => (state.messages = state.messages.with(index, message)),
      snapshot: (value) => structuredClone(value),
    }
    const hub = connect(HUB, { token: TOKEN })
    super({ id, state, transport: createChatTransport(hub, { fetch: application }) })
    this.hub = hub
  }

  get text() {
    return this.messages.map(({ role, parts }) => `${role}: ${parts.map(({ text = '' }) => text).join('')}`)
  }

  /** Waits until the answer has begun. */
  async begun() {
    while (!/assistant: ./.test(this.text.join('\n'))) await delay(5)
  }
}

function print(name, ...tabs) {
  console.log(JSON.stringify([name, ...tabs.map(({ status, text }) => [status, ...text])]))
}

const first = new Tab('short')
const sending = first.sendMessage({ text: 'Count' })
await first.begun()
const second = new Tab('short', [first.messages[0]])
const twice = [second.resumeStream(), second.resumeStream()] // as StrictMode does
await Promise.all([sending, ...twice])
const late = new Tab('short', [first.messages[0]])
await late.resumeStream()
print('whole', first, second, late)

const nothing = new Tab('nothing')
await nothing.resumeStream()
print('nothing', nothing)

const stopped = new Tab('long')
const stopping = stopped.sendMessage({ text: 'Count' })
await stopped.begun()
const watching = new Tab('long', [stopped.messages[0]])
const watched = watching.resumeStream()
await watching.begun()
await stopped.stop()
await Promise.all([stopping, watched])
while (!stops.get('long')) await delay(5)
console.log(JSON.stringify(['stopped', stopped.status, watching.status, watching.text[1].length < 2_000]))
for (const { hub } of [first, second, late, nothing, stopped, watching]) hub.close()
