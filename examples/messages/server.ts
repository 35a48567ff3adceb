/** Publishes a numbered message for each request. */
import type { Hub } from 'fanfare-client'
import type { Example } from '../shared/example.js'
import { newest, SOON } from '../shared/hub-access.js'

export interface Message {
  /** The number of messages so far, including this one. */
  number: number
  text: string
}

const TEXTS = [
  'Hello!',
  'How are you?',
  'What a day.',
  'Is anybody there?',
  'Coffee, anyone?',
  'See you later.',
  'It works!',
  'Once more, please.',
]

export default {
  settings: {
    FANFARE_ANONYMOUS_SUBSCRIBE: 'messages',
    FANFARE_RETAIN_AGE: '3650d', // the newest message has the total, so it must be retained
  },
  serve(app, { hub }) {
    // One message at a time: two concurrent requests would get the same number.
    let previous: Promise<unknown> = Promise.resolve()
    app.post('/message', async (_request, reply) => {
      const until = performance.now() + SOON.timeout // includes the wait for the previous message
      const message = previous.then(() => publishNext(hub, until))
      previous = message.catch(() => undefined)
      return reply.code(201).send(await message)
    })
  },
} satisfies Example

/**
 * Publishes the next message. Reads the last number from the hub each time, since after a failure only the hub knows
 * whether the last message was stored.
 */
async function publishNext(hub: Hub, until: number): Promise<Message> {
  const left = () => ({ timeout: Math.max(0, until - performance.now()) })
  const [last] = await newest<Message>(hub, 'messages', 1, left())
  const message = { number: (last?.data.number ?? 0) + 1, text: TEXTS[Math.floor(Math.random() * TEXTS.length)]! }
  await hub.publish('messages', { data: message }, left())
  return message
}
