/** Signs short-lived tokens for users, and publishes their notifications. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { SOON } from '../shared/hub-access.js'
import { addLogin } from '../shared/login.js'
import { Name } from '../shared/name.js'

const Notification = Type.Object({
  from: Name,
  text: Type.String({ minLength: 1, maxLength: 500, description: 'A notification has 1 to 500 characters.' }),
})
const Update = Type.Object({ activity: Type.Enum(['available', 'busy', 'away']) })

/** The data of an event of the type `notification`, and of one of the type `userUpdate`. */
export type Notification = Static<typeof Notification>
export type Update = Static<typeof Update>

/** How long a token is valid, in milliseconds. The time is short, so that the page can show the expiry. */
const LIFETIME = 30_000

export default {
  settings: {},
  serve(app, { hub, sign, speed }) {
    addLogin(app, sign, { subscribe: ['users.{sub}.**'] }, { lifetime: LIFETIME / speed })

    const routes = app.withTypeProvider<TypeBoxTypeProvider>()
    const params = Type.Object({ user: Name })
    routes.post('/users/:user/notifications', { schema: { params, body: Notification } }, async (request, reply) => {
      const topic = `users.${request.params.user}.notifications`
      await hub.publish(topic, { type: 'notification', data: request.body }, SOON)
      return reply.code(204).send()
    })
    routes.post('/users/:user/updates', { schema: { params, body: Update } }, async (request, reply) => {
      const topic = `users.${request.params.user}.profile`
      await hub.publish(topic, { type: 'userUpdate', data: request.body }, SOON)
      return reply.code(204).send()
    })
  },
} satisfies Example
