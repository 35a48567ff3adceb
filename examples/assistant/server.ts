/** Asks a model, and writes each answer as a finite topic of the hub. Pages read the topic, not this server. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { connect } from 'fanfare-client'
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { createStream, writeStream } from '../shared/finite-stream.js'
import { addLogin } from '../shared/login.js'
import { answerTo } from './model.js'

/** The time for a word, in milliseconds. */
const PACE = 80

const Id = Type.String({ pattern: '^[0-9a-f-]{36}$', description: 'An id is a UUID.' })
const Question = Type.Object({
  chat: Id,
  id: Id,
  question: Type.String({ maxLength: 300, pattern: '\\S', description: 'A question has 1 to 300 characters.' }),
  start: Type.Integer({ minimum: 0, description: 'The number of words that an interrupted answer has: 0 or more.' }),
})
export type Question = Static<typeof Question>

export default {
  settings: {},
  serve(app, { hub: { url }, sign, speed, ending, watch }) {
    const own = ['chats.{sub}.**']
    addLogin(app, sign, { subscribe: own }, { user: Id })

    const running = new Set<string>()
    const routes = app.withTypeProvider<TypeBoxTypeProvider>()
    routes.post('/questions', { schema: { body: Question } }, async ({ body }, reply) => {
      const { chat, id, question, start } = body
      const path = `streams/chats/${chat}/${id}/${start}` // the topic `chats.<chat>.<id>.<start>`
      // the `sub` that creates a stream may cancel it, so the page needs no grant to publish
      const hub = connect(url, { token: () => sign({ sub: chat, publish: own }) })
      await createStream(hub, path, { question }, ending)
      if (running.has(path)) return reply.code(202).send() // the page has repeated its request
      running.add(path)
      const writing = writeStream(hub, path, answerTo(question, start, PACE / speed, ending), ending)
      watch(
        writing.finally(() => running.delete(path)),
        'an answer was interrupted',
      )
      return reply.code(202).send()
    })
  },
} satisfies Example
