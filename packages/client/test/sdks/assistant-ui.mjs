/** Resumable streams of assistant-stream in finite topics. Prints what each subscriber gets, as JSON. */
/* global console, ReadableStream, Response, TextEncoder */
import { env } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { createResumableStreamContext } from 'assistant-stream/resumable'
import { createResumableStreamStore } from 'fanfare-client/assistant-ui'

const { HUB, TOKEN } = env

/** A context of a process of its own. */
function contextOf(onError) {
  const store = createResumableStreamStore({ url: HUB, token: TOKEN, prefix: 'chats' })
  return { store, ...createResumableStreamContext({ store, onError }) }
}

function words(count, { fail = false, cancel = () => undefined } = {}) {
  let next = 0
  return new ReadableStream({
    async pull(controller) {
      await delay(10)
      if (next === count && fail) throw new Error('no more words')
      if (next === count) return controller.close()
      controller.enqueue(new TextEncoder().encode(`w${next++} `))
    },
    cancel,
  })
}

const textOf = (stream) => new Response(stream).text().catch((error) => `failed: ${error.message}`)
const print = (...values) => console.log(JSON.stringify(values))

const [a, b] = [contextOf(), contextOf()]
const runs = await Promise.all([a, b].map(({ run }) => run('answer', () => words(5))))
const during = await b.resume('answer')
print(
  'whole',
  ...(await Promise.all([...runs, during, await a.resume('answer')].map(textOf))),
  await a.status('answer'),
)
print('missing', await a.resume('unknown'), await a.status('unknown'))

const failing = await a.run('failing', () => words(2, { fail: true }))
print('failed', await textOf(failing), await textOf(await b.resume('failing')), await b.status('failing'))

let stopped
const isStopped = new Promise((resolve) => (stopped = resolve))
const long = await a.run('long', () => words(1_000, { cancel: () => stopped(true) }))
const reading = textOf(long)
await delay(50)
await b.store.cancel('long')
print('stopped', await isStopped, (await reading).length < 5_000)

await a.delete('answer')
print('deleted', await b.status('answer'))
