/** The routes for topics: list, describe and purge them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { authorize, authorizeAdmin, isGranted } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import type { FiniteTopic } from '../hub/finite/finite-topic.js'
import type { Hub } from '../hub/hub.js'
import { TopicIndex } from '../hub/topic-index.js'
import { pathOfTopic } from '../model/stream-path.js'
import { matches, requirePattern, requireTopicName } from '../model/topic.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { hubOf } from '../plugins/hub.js'
import { TopicParams } from '../schemas/common.js'
import type { FiniteInfo } from '../schemas/finite.js'
import { PAGE_SIZE } from '../schemas/parameters.js'
import { Purged, TopicDetails, Topics, TopicsQuery } from '../schemas/topic.js'
import { readCount } from './request/counts.js'

const topics: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/topics',
    { onRequest: app[kAuthenticate], schema: { querystring: TopicsQuery, response: { 200: Topics } } },
    async (request) => {
      const principal = requirePrincipal(request)
      const { prefix, search, activity, after, limit } = request.query
      const options = { prefix, after, limit: readCount('limit', limit, PAGE_SIZE) }
      const isFound = search === undefined ? undefined : finderOf(search)
      const isVisible = visibleTo(principal)
      const accepts = isFound ? (topic: string) => isFound(topic) && isVisible(topic) : isVisible
      const { topics } = hubOf(app)
      const page = await (activity === 'true' ? topics.listActive(options, accepts) : topics.list(options, accepts))
      return { ...page, cursor: page.topics.at(-1)?.topic ?? null }
    },
  )

  app.get(
    '/topics/:topic',
    { onRequest: app[kAuthenticate], schema: { params: TopicParams, response: { 200: TopicDetails } } },
    (request) => readTopic(hubOf(app), request, request.params.topic),
  )

  app.delete(
    '/topics/:topic/events',
    { onRequest: app[kAuthenticate], schema: { params: TopicParams, response: { 200: Purged } } },
    async (request) => {
      const principal = requirePrincipal(request)
      const { topic } = request.params
      authorizeAdmin(principal, 'purge a topic')
      const purged = await hubOf(app).purge(topic)
      request.log.info({ topic, purged, subject: principal.subject }, 'topic purged')
      return { purged }
    },
  )
}

export default topics

/** @throws Problem, HubError */
async function readTopic(hub: Hub, request: FastifyRequest, topic: string): Promise<TopicDetails> {
  const principal = requirePrincipal(request)
  requireTopicName(topic)
  if (!principal.admin) authorize(principal, 'subscribe', [topic])
  const [info, stream] = await Promise.all([hub.topic(topic), hub.finite.get(topic)])
  if (!stream || stream.isDeleted) return info
  return { ...info, stream: describe(hub, stream, requirePrincipal(request)) }
}

/** Describes a finite topic, as far as the bearer may know: its creator, and what it is a fork of. */
function describe(hub: Hub, state: FiniteTopic, principal: Principal): FiniteInfo {
  const { topic, status, contentType, size, createdAt, createdBy, fork } = state
  const { admin } = principal
  const isKnown = fork?.offset !== undefined && (admin || isGranted(principal, 'subscribe', fork.source))
  const path = pathOfTopic(topic)
  return {
    path: path === undefined ? null : `/streams/${path}`,
    status,
    contentType,
    size,
    createdAt: new Date(createdAt).toISOString(),
    ...(admin && createdBy !== undefined && { createdBy }),
    ...(isKnown && { fork: { topic: fork.source, lastId: hub.cursor(fork.offset) } }),
  }
}

/**
 * Returns whether a topic matches a search: a pattern, or a part of its name.
 * @throws HubError `invalid-pattern`
 */
function finderOf(search: string): (topic: string) => boolean {
  if (search.includes('*')) {
    requirePattern(search)
    return (topic) => matches(search, topic)
  }
  const text = search.toLowerCase()
  return (topic) => topic.toLowerCase().includes(text)
}

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
