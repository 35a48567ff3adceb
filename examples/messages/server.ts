/** Publishes a numbered message for each request. */
import type { Example } from '../shared/example.js'
import type { HubClient } from '../shared/hub-client.js'

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

/** How long a request waits for the hub, in milliseconds. */
const MAX_WAIT = 5_000

export default {
  settings: {
    FANFARE_ANONYMOUS_SUBSCRIBE: 'messages',
    FANFARE_RETAIN_AGE: '3650d', // the newest message has the total, so it must be retained
  },
  serve(app, { hub }) {
    // One message at a time: two concurrent requests would get the same number.
    let previous: Promise<unknown> = Promise.resolve()
    app.post('/message', async (_request, reply) => {
      const until = performance.now() + MAX_WAIT // includes the wait for the previous message
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
async function publishNext(hub: HubClient, until: number): Promise<Message> {
  const [last] = await hub.last('messages', 1, { maxWait: until - performance.now() })
  const number = last ? (last.data as Message).number + 1 : 1
  const message = { number, text: TEXTS[Math.floor(Math.random() * TEXTS.length)]! }
  await hub.publish('messages', { data: message }, { maxWait: until - performance.now() })
  return message
}
