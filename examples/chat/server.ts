/** Signs tokens for any name. Pages do everything else with the hub directly. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Example } from '../shared/example.js'
import { Name } from '../shared/name.js'

export default {
  // pages publish to the hub themselves, so the hub has to refuse long messages
  settings: { FANFARE_MAX_EVENT_SIZE: '1KiB' },
  serve(app, { sign }) {
    const schema = { body: Type.Object({ name: Name }) }
    app.withTypeProvider<TypeBoxTypeProvider>().post('/login', { schema }, async ({ body: { name } }) => ({
      token: sign({
        sub: name,
        subscribe: ['rooms.**'],
        presence: ['rooms.**'],
        publish: ['rooms.*.{sub}'], // in every room under one's own name, and under no other
      }),
    }))
  },
} satisfies Example
