/** Signs short-lived tokens for users, and publishes their notifications. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { SOON } from '../shared/hub-access.js'
import { Name } from '../shared/name.js'

/** The answer of `POST /login`. */
export interface Login {
  token: string
  /** How long the token is valid, in milliseconds. */
  lifetime: number
}

const NewNotification = Type.Object({
  from: Name,
  to: Name,
  text: Type.String({ minLength: 1, maxLength: 500, description: 'A notification has 1 to 500 characters.' }),
})
/** The activity of a user. */
const Activity = Type.Union([Type.Literal('available'), Type.Literal('busy'), Type.Literal('away')])
const NewUpdate = Type.Object({ user: Name, activity: Activity })

/** The data of a `notification`. */
export type Notification = Omit<Static<typeof NewNotification>, 'to'> & { time: string }
/** The data of a `userUpdate`. */
export type UserUpdate = Omit<Static<typeof NewUpdate>, 'user'> & { time: string }

/** How long a token is valid, in milliseconds. The time is short, so that the page can show the expiry. */
const LIFETIME = 30_000

export default {
  settings: {},
  serve(app, { hub, sign, speed }) {
    const routes = app.withTypeProvider<TypeBoxTypeProvider>()

    routes.post(
      '/login',
      { schema: { body: Type.Object({ user: Name }) } },
      async ({ body: { user } }): Promise<Login> => {
        const lifetime = LIFETIME / speed
        return { token: sign({ sub: user, subscribe: ['users.{sub}.**'] }, lifetime), lifetime }
      },
    )

    routes.post(
      '/notifications',
      { schema: { body: NewNotification } },
      async ({ body: { to, from, text } }, reply) => {
        const data: Notification = { from, text, time: new Date().toISOString() }
        await hub.publish(`users.${to}.notifications`, { type: 'notification', data }, SOON)
        return reply.code(204).send()
      },
    )

    routes.post('/updates', { schema: { body: NewUpdate } }, async ({ body: { user, activity } }, reply) => {
      const data: UserUpdate = { activity, time: new Date().toISOString() }
      await hub.publish(`users.${user}.profile`, { type: 'userUpdate', data }, SOON)
      return reply.code(204).send()
    })
  },
} satisfies Example
