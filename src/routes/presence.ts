/** Who is present on a topic. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorize } from '../auth/principal.js'
import { requireTopic } from '../hub/topic.js'
import { TopicParams } from '../schemas/common.js'
import { Presence } from '../schemas/presence.js'

const presence: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/topics/:topic/presence', { onRequest: app.authenticate, schema: { params: TopicParams, response: { 200: Presence } } }, async (request) => {
    const { topic } = request.params
    requireTopic(topic)
    authorize(request.fanfarePrincipal!, 'presence', [topic])
    const subjects = app.hub.present(topic).map(({ since, info, ...present }) => ({ ...present, since: new Date(since).toISOString(), info: info ?? null }))
    return { topic, subjects }
  })
}

export default presence
