/** Signs the users' tokens, and publishes their messages to each other. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { SOON } from '../shared/hub-access.js'
import { addLogin } from '../shared/login.js'
import { Name } from '../shared/name.js'

const NewMessage = Type.Object({
  from: Name,
  to: Name,
  text: Type.String({ minLength: 1, maxLength: 1_000, description: 'A message has 1 to 1,000 characters.' }),
  id: Type.String({ format: 'uuid', description: 'The id is a UUID, the same for each attempt to send a message.' }),
})

/** The data of a message. */
export type Message = Pick<Static<typeof NewMessage>, 'from' | 'text'> & { time: string }

export default {
  settings: { FANFARE_RETAIN_AGE: '7d' }, // the maximum time that a message waits
  serve(app, { hub, sign }) {
    addLogin(app, sign, { subscribe: ['inbox.{sub}'] })

    const routes = app.withTypeProvider<TypeBoxTypeProvider>()
    routes.post('/messages', { schema: { body: NewMessage } }, async ({ body: { to, from, text, id } }, reply) => {
      const data: Message = { from, text, time: new Date().toISOString() }
      await hub.publish(`inbox.${to}`, { data, id }, SOON)
      return reply.code(204).send()
    })
  },
} satisfies Example
