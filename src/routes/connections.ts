/** The routes for open streams: describe, list, change and end them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { authorize, authorizeAdmin, isGranted } from '../auth/principal.js'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { mapInTurns } from '../event-loop/time-slice.js'
import type { Hub } from '../hub/hub.js'
import { rfc3339 } from '../hub/stream-info.js'
import type { Stream } from '../hub/stream.js'
import type { Principal } from '../model/principal.js'
import { requirePattern } from '../model/topic.js'
import {
  Closed,
  Connection,
  ConnectionParams,
  ConnectionsPage,
  ConnectionsQuery,
  HeldTopics,
  RenewedToken,
  SubjectQuery,
  TopicsChange,
} from '../schemas/connection.js'
import type { Static } from '../schemas/typebox.js'
import { requirePrincipal, requireTokenSearch } from '../plugins/auth.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { readCount } from './request/counts.js'
import { MAX_PATTERNS, requireOwnTopics } from './subscribe.js'
import { tokenRequired } from './request/token-required.js'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000
/** The maximum length of all topics on a page, in characters. A page has at least one stream, even a longer one. */
const MAX_TOPIC_LENGTH = 256 * 1024
/** The maximum number of pending replays of a stream. */
const MAX_REPLAYS = 10

const connections: FastifyPluginAsyncTypebox = async (app) => {
  const { fanfareHub: hub } = app
  const onRequest = [app.authenticate, tokenRequired('see or change a stream')]

  app.get(
    '/connections/:id',
    { onRequest, schema: { params: ConnectionParams, response: { 200: Connection } } },
    async (request) => hub.describe(requireOwn(hub, request, request.params.id)),
  )

  app.get(
    '/connections',
    { onRequest, schema: { querystring: ConnectionsQuery, response: { 200: ConnectionsPage } } },
    async (request) => readPage(hub, requirePrincipal(request), request.query),
  )

  app.patch(
    '/connections/:id',
    {
      onRequest,
      bodyLimit: SMALL_BODY,
      schema: { params: ConnectionParams, body: TopicsChange, response: { 200: HeldTopics } },
    },
    async (request) => changeTopics(hub, request, request.params.id, request.body),
  )

  app.put(
    '/connections/:id/token',
    { onRequest, schema: { params: ConnectionParams, response: { 200: RenewedToken } } },
    async (request) => renewToken(hub, request, request.params.id),
  )

  app.delete('/connections/:id', { onRequest, schema: { params: ConnectionParams } }, async (request, reply) => {
    requireOwn(hub, request, request.params.id).end('revoked')
    return reply.code(204).send()
  })

  app.delete(
    '/connections',
    { onRequest, schema: { querystring: SubjectQuery, response: { 200: Closed } } },
    async (request) => endStreamsOf(hub, requirePrincipal(request), request.query.subject),
  )
}

export default connections

/** Returns a page of open streams. Only admins may list streams. */
async function readPage(
  hub: Hub,
  principal: Principal,
  query: Static<typeof ConnectionsQuery>,
): Promise<Static<typeof ConnectionsPage>> {
  authorizeAdmin(principal, 'list open streams')
  const { topic, subject, after = '', limit = String(DEFAULT_LIMIT) } = query
  const count = readCount('limit', limit, 1, MAX_LIMIT)
  if (topic !== undefined) requirePattern(topic)
  const { streams, more } = await hub.connections.page(
    after,
    count,
    ({ info, feed: { selection } }) =>
      (subject === undefined || info.principal.subject === subject) &&
      (topic === undefined || selection.patterns.includes(topic) || selection.hasTopic(topic)),
  )
  const page = streams.slice(0, fitting(streams))
  const described = await mapInTurns(page, (stream) => hub.describe(stream))
  return {
    connections: described,
    more: more || page.length < streams.length,
    cursor: described.at(-1)?.id ?? null,
  }
}

/** Adds topics to a stream and removes topics from it. Returns the new topics of the stream. */
function changeTopics(
  hub: Hub,
  request: FastifyRequest,
  id: string,
  change: Static<typeof TopicsChange>,
): Static<typeof HeldTopics> {
  const { subscribe = [], unsubscribe = [], replay = 0 } = change
  if (subscribe.length > MAX_PATTERNS)
    throw new Problem(
      'invalid-request',
      `A stream can have at most ${MAX_PATTERNS} topics and patterns; the request adds ${subscribe.length}.`,
    )
  const stream = requireOwn(hub, request, id)
  ;[...subscribe, ...unsubscribe].forEach(requirePattern)
  authorizeChange(request, stream, subscribe)
  requireOwnTopics(subscribe)
  const { selection } = stream.feed
  const topics = new Set([...selection.patterns, ...subscribe])
  for (const pattern of unsubscribe) topics.delete(pattern)
  if (topics.size > MAX_PATTERNS)
    throw new Problem(
      'invalid-request',
      `A stream can have at most ${MAX_PATTERNS} topics and patterns; this stream would have ${topics.size}.`,
    )
  const added = selection.of(
    [...topics].filter((pattern) => !selection.patterns.includes(pattern)),
    false,
  )
  const wanted = replay > 0 && added.patterns.length > 0 ? { selection: added, count: replay } : undefined
  if (wanted && stream.pendingReplays >= MAX_REPLAYS)
    throw new Problem('rate-limited', `The subscriber has not read ${MAX_REPLAYS} earlier replays of this stream yet.`)
  hub.move(stream, selection.of(topics), wanted)
  return { topics: [...stream.feed.selection.patterns] }
}

/** Gives a stream the token of this request. Removes topics that the new token does not grant. */
function renewToken(hub: Hub, request: FastifyRequest, id: string): Static<typeof RenewedToken> {
  const principal = requirePrincipal(request)
  const stream = requireOwn(hub, request, id)
  const {
    info,
    feed: { selection },
  } = stream
  if (info.principal.subject === undefined || info.principal.subject !== principal.subject) {
    throw new Problem('not-granted', 'The new token must have the same "sub" as the token of the stream.')
  }
  if (requireTokenSearch(request).source !== 'header')
    throw new Problem('invalid-request', 'Send the new token in the header "Authorization: Bearer …".')
  const granted = selection.patterns.filter((pattern) => isGranted(principal, 'subscribe', pattern))
  const presence = selection.presence && granted.every((pattern) => isGranted(principal, 'presence', pattern))
  const isNarrower = granted.length < selection.patterns.length || presence !== selection.presence
  hub.renew(stream, principal, isNarrower ? selection.of(granted, presence) : undefined)
  return { topics: granted, expiresAt: rfc3339(principal.expiresAt) }
}

/** Ends all streams of a subject and returns their number. Only admins may do so. */
async function endStreamsOf(hub: Hub, principal: Principal, subject: string): Promise<Static<typeof Closed>> {
  authorizeAdmin(principal, 'end the streams of a subject')
  return { closed: await hub.connections.end('revoked', ({ info }) => info.principal.subject === subject) }
}

/**
 * Returns the stream with an id, if the principal owns the stream or is an admin.
 * @throws Problem `not-found`, `not-granted`
 */
function requireOwn(hub: Hub, request: FastifyRequest, id: string): Stream {
  const { admin, subject } = requirePrincipal(request)
  const stream = hub.connections.get(id)
  if (!stream)
    throw new Problem('not-found', `There is no stream ${quote(id)}: it has ended, or it belongs to another hub.`)
  if (admin || (subject !== undefined && subject === stream.info.principal.subject)) return stream
  throw new Problem(
    'not-granted',
    subject === undefined
      ? 'The token has no "sub", but a stream belongs to the subject of its token.'
      : 'The stream belongs to another subject: the token needs the same "sub", or "admin": true.',
  )
}

/** Checks that both the token of the stream and the token of the request grant the added topics. */
function authorizeChange(request: FastifyRequest, { info, feed }: Stream, added: string[]): void {
  const asking = requirePrincipal(request)
  if (!asking.admin) authorize(asking, 'subscribe', added)
  for (const action of feed.selection.presence ? (['subscribe', 'presence'] as const) : (['subscribe'] as const)) {
    const refused = added.find((pattern) => !isGranted(info.principal, action, pattern))
    if (refused !== undefined)
      throw new Problem(
        'not-granted',
        `The token of the stream (not of this request) has no ${action} grant that covers ${quote(refused)}.${info.principal.subject === undefined ? '' : ' PUT /connections/{id}/token gives the stream a new token.'}`,
      )
  }
}

/** Returns how many streams fit on a page with their topics; at least one. */
function fitting(streams: readonly Stream[]): number {
  let length = 0
  const full = streams.findIndex(
    ({ feed: { selection } }) =>
      (length += selection.patterns.reduce((sum, pattern) => sum + pattern.length, 0)) > MAX_TOPIC_LENGTH,
  )
  return full < 0 ? streams.length : Math.max(1, full)
}
