/** The routes for open streams: describe, list, change and end them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { authorize, authorizeAdmin, isGranted } from '../auth/principal.js'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import type { Hub } from '../hub/hub.js'
import { isStreamInfo, rfc3339 } from '../hub/stream-info.js'
import type { Connection as OpenConnection } from '../hub/connections.js'
import { Stream } from '../hub/stream.js'
import type { Principal } from '../model/principal.js'
import { arrayOf, isMissing, isNumber, isString, nullable, optional, shapeOf } from '../model/shape.js'
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
import { PAGE_SIZE } from '../schemas/parameters.js'
import { MAX_PATTERNS } from '../schemas/stream.js'
import type { Static } from '../schemas/typebox.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { kToken } from '../plugins/found-token.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { hubOf } from '../plugins/hub.js'
import { readCount } from './request/counts.js'
import { requireOwnTopics } from './subscribe.js'
import { streamOperation } from './request/stream-operation.js'
import { tokenRequired } from './request/token-required.js'

/** The maximum number of pending replays of a stream. */
const MAX_REPLAYS = 10

const connections: FastifyPluginAsyncTypebox = async (app) => {
  const hub = hubOf(app)
  const onRequest = [app[kAuthenticate], tokenRequired('see or change a stream')]
  const { describe, change, renew, end } = operationsOf(app)

  app.get(
    '/connections/:id',
    { onRequest, schema: { params: ConnectionParams, response: { 200: Connection } } },
    async (request) => describe(requirePrincipal(request), request.params.id, undefined),
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
    async (request) => change(requirePrincipal(request), request.params.id, requireFew(request.body)),
  )

  app.put(
    '/connections/:id/token',
    { onRequest, schema: { params: ConnectionParams, response: { 200: RenewedToken } } },
    async (request) => renew(requirePrincipal(request), request.params.id, request[kToken]!.source),
  )

  app.delete('/connections/:id', { onRequest, schema: { params: ConnectionParams } }, async (request, reply) => {
    await end(requirePrincipal(request), request.params.id, undefined)
    return reply.code(204).send()
  })

  app.delete(
    '/connections',
    { onRequest, schema: { querystring: SubjectQuery, response: { 200: Closed } } },
    async (request) => endStreamsOf(hub, requirePrincipal(request), request.query.subject),
  )
}

export default connections

const isTopics = arrayOf(isString)
const isChange = shapeOf<Static<typeof TopicsChange>>({
  subscribe: optional(isTopics),
  unsubscribe: optional(isTopics),
  replay: optional(isNumber),
})
const isHeld = shapeOf<Static<typeof HeldTopics>>({ topics: isTopics })
const isRenewed = shapeOf<Static<typeof RenewedToken>>({ topics: isTopics, expiresAt: nullable(isString) })

/** Defines the operations on one stream. */
function operationsOf(app: FastifyInstance) {
  const hub = hubOf(app)
  return {
    describe: streamOperation(app, 'describe-stream', { input: isMissing, result: isStreamInfo }, (stream) =>
      hub.streams.describe(stream),
    ),
    change: streamOperation(app, 'change-stream', { input: isChange, result: isHeld }, (stream, asking, input) =>
      changeTopics(hub, requireStream(stream), asking, input),
    ),
    renew: streamOperation(
      app,
      'renew-stream',
      { input: optional(isString), result: isRenewed },
      (stream, asking, source) => renewToken(hub, requireStream(stream), asking, source),
    ),
    end: streamOperation(app, 'end-stream', { input: isMissing, result: isMissing }, (stream) => {
      stream.end('revoked')
      return undefined
    }),
  }
}

/** @throws Problem `invalid-request` for a live read */
function requireStream(connection: OpenConnection): Stream {
  if (connection instanceof Stream) return connection
  throw new Problem(
    'invalid-request',
    `${quote(connection.info.id)} is a live read of ${quote(connection.selection.topics[0])}, whose topic and token stay as they are: end it, and read again.`,
  )
}

/** Returns a page of open streams. Only admins may list streams. */
async function readPage(
  hub: Hub,
  principal: Principal,
  query: Static<typeof ConnectionsQuery>,
): Promise<Static<typeof ConnectionsPage>> {
  authorizeAdmin(principal, 'list open streams')
  const { topic, subject, search, order, after, limit } = query
  const count = readCount('limit', limit, PAGE_SIZE)
  if (topic !== undefined) requirePattern(topic)
  if (order === 'lag' && after !== undefined)
    throw new Problem('invalid-request', 'A list by lag has no next page: leave out after, or order=lag.')
  const page = await hub.neighbours.connections.list({
    after: after ?? '',
    limit: count,
    topic,
    subject,
    search,
    order,
  })
  return { ...page, cursor: order === 'lag' ? null : (page.connections.at(-1)?.id ?? null) }
}

/** Ends all streams of a subject and returns their number. Only admins may do so. */
async function endStreamsOf(hub: Hub, principal: Principal, subject: string): Promise<Static<typeof Closed>> {
  authorizeAdmin(principal, 'end the streams of a subject')
  return { closed: await hub.neighbours.connections.endSubject(subject) }
}

/** Returns a change that does not add too many topics. */
function requireFew(change: Static<typeof TopicsChange>): Static<typeof TopicsChange> {
  const { subscribe = [] } = change
  if (subscribe.length > MAX_PATTERNS)
    throw new Problem(
      'invalid-request',
      `A stream can have at most ${MAX_PATTERNS} topics and patterns; the request adds ${subscribe.length}.`,
    )
  return change
}

/** Adds topics to a stream and removes topics from it. Returns the new topics of the stream. */
function changeTopics(
  hub: Hub,
  stream: Stream,
  asking: Principal,
  { subscribe = [], unsubscribe = [], replay = 0 }: Static<typeof TopicsChange>,
): Static<typeof HeldTopics> {
  ;[...subscribe, ...unsubscribe].forEach(requirePattern)
  authorizeChange(asking, stream, subscribe)
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
  hub.streams.move(stream, selection.of(topics), wanted)
  return { topics: [...stream.feed.selection.patterns] }
}

/**
 * Gives a stream the token of a request. Removes topics that the new token does not grant.
 * @param source where the request has the token
 */
function renewToken(
  hub: Hub,
  stream: Stream,
  principal: Principal,
  source: string | undefined,
): Static<typeof RenewedToken> {
  const {
    info,
    feed: { selection },
  } = stream
  if (info.principal.subject === undefined || info.principal.subject !== principal.subject) {
    throw new Problem('not-granted', 'The new token must have the same "sub" as the token of the stream.')
  }
  if (source !== 'header')
    throw new Problem('invalid-request', 'Send the new token in the header "Authorization: Bearer …".')
  const granted = selection.patterns.filter((pattern) => isGranted(principal, 'subscribe', pattern))
  const presence = selection.presence && granted.every((pattern) => isGranted(principal, 'presence', pattern))
  const isNarrower = granted.length < selection.patterns.length || presence !== selection.presence
  hub.streams.renew(stream, principal, isNarrower ? selection.of(granted, presence) : undefined)
  return { topics: granted, expiresAt: rfc3339(principal.expiresAt) }
}

/** Checks that both the token of the stream and the token of the request grant the added topics. */
function authorizeChange(asking: Principal, { info, feed }: Stream, added: string[]): void {
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
