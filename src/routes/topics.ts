/** The routes for topics: list, describe and purge them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorize, authorizeAdmin } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import { TopicIndex } from '../hub/topic-index.js'
import { requireTopicName } from '../model/topic.js'
import { requirePrincipal } from '../plugins/auth.js'
import { TopicParams } from '../schemas/common.js'
import { Purged, TopicInfo, Topics, TopicsQuery } from '../schemas/topic.js'
import { readCount } from './request/counts.js'

const DEFAULT_LIMIT = '100'
const MAX_LIMIT = 1_000

const topics: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/topics',
    { onRequest: app.authenticate, schema: { querystring: TopicsQuery, response: { 200: Topics } } },
    async (request) => {
      const principal = requirePrincipal(request)
      const { prefix, after, limit = DEFAULT_LIMIT } = request.query
      const page = await app.fanfareHub.topics(
        { prefix, after, limit: readCount('limit', limit, 1, MAX_LIMIT) },
        visibleTo(principal),
      )
      return { ...page, cursor: page.topics.at(-1)?.topic ?? null }
    },
  )

  app.get(
    '/topics/:topic',
    { onRequest: app.authenticate, schema: { params: TopicParams, response: { 200: TopicInfo } } },
    async (request) => {
      const principal = requirePrincipal(request)
      const { topic } = request.params
      requireTopicName(topic)
      if (!principal.admin) authorize(principal, 'subscribe', [topic])
      return app.fanfareHub.topic(topic)
    },
  )

  app.delete(
    '/topics/:topic/events',
    { onRequest: app.authenticate, schema: { params: TopicParams, response: { 200: Purged } } },
    async (request) => {
      const principal = requirePrincipal(request)
      const { topic } = request.params
      authorizeAdmin(principal, 'purge a topic')
      const purged = await app.fanfareHub.purge(topic)
      request.log.info({ topic, purged, subject: principal.subject }, 'topic purged')
      return { purged }
    },
  )
}

export default topics

/**
 * Returns whether a topic is visible to a principal: a principal sees the topics that it may subscribe to. The grants
 * are in an index, since every topic of a long list is compared with all of them.
 * @throws Problem `missing-token` for a request without a token, if no topic is open to such requests
 */
function visibleTo({ admin, anonymous, grants }: Principal): (topic: string) => boolean {
  if (admin) return () => true
  if (anonymous && grants.subscribe.length === 0) {
    throw new Problem('missing-token', 'To list topics, the request needs a token.')
  }
  const granted = new TopicIndex<true>()
  for (const grant of grants.subscribe) granted.add(grant, true)
  return (topic) => {
    let isVisible = false
    granted.each(topic, () => (isVisible = true))
    return isVisible
  }
}
