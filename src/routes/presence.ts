/** The route for the subjects that are present on a topic. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorize } from '../auth/principal.js'
import { mapInTurns } from '../event-loop/time-slice.js'
import { requireTopic } from '../model/topic.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { hubOf } from '../plugins/hub.js'
import { TopicParams } from '../schemas/common.js'
import { Presence } from '../schemas/presence.js'
import type { Static } from '../schemas/typebox.js'

const presence: FastifyPluginAsyncTypebox = async (app) => {
  app.get<{ Params: Static<typeof TopicParams>; Reply: Buffer }>(
    '/topics/:topic/presence',
    { onRequest: app[kAuthenticate], schema: { params: TopicParams, response: { 200: Presence } } },
    async (request, reply) => {
      const { topic } = request.params
      requireTopic(topic)
      authorize(requirePrincipal(request), 'presence', [topic])
      const present = await hubOf(app).present(topic)
      authorize(requirePrincipal(request), 'presence', [topic]) // the grant may have ended meanwhile
      // Encode in several turns of the event loop: a topic may have as many subjects as the hub has streams.
      const subjects = await mapInTurns(present, ({ since, info, ...subject }) =>
        JSON.stringify({
          ...subject,
          since: new Date(since).toISOString(),
          info: info ?? null,
        } satisfies Presence['subjects'][number]),
      )
      return reply
        .type('application/json; charset=utf-8')
        .send(Buffer.from(`{"topic":${JSON.stringify(topic)},"subjects":[${subjects.join(',')}]}`))
    },
  )
}

export default presence
