/** The routes that answer with an event stream or with a page of history. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isFromPage, requireAllowedReader } from '../auth/origin.js'
import { OriginList } from '../model/origin-list.js'
import { authorize, authorizeAdmin } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { StreamCounts } from '../hub/cluster/all-connections.js'
import type { Hub } from '../hub/hub.js'
import type { CursorName } from '../hub/named-cursors.js'
import type { Subscription } from '../hub/streams.js'
import type { StreamIdentity } from '../hub/stream.js'
import { SYSTEM_TOPICS } from '../hub/system-topics.js'
import { hasExpired, type Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { Selection } from '../model/selection.js'
import { isReserved, matches, requirePattern } from '../model/topic.js'
import { receiveFrom } from '../observe/span-attributes.js'
import type { RequestSpan, Traces } from '../observe/traces.js'
import { kAuthenticate, requirePrincipal, requireTokenSearch } from '../plugins/auth.js'
import { wantsStream } from '../plugins/errors.js'
import { kOpenStream, kSendEndedStream } from '../plugins/event-stream.js'
import { hubOf } from '../plugins/hub.js'
import { kTraces } from '../plugins/traces.js'
import { listOf, PatternParams } from '../schemas/common.js'
import { EventsQuery, MAX_PATTERNS, MAX_TYPES, TopicQuery } from '../schemas/stream.js'
import { preferredType, varyByAccept } from '../server/negotiation.js'
import type { Settings } from '../settings.js'
import { countElsewhere, requireFreeStream, type StreamLimits } from './subscribe/connection-limits.js'
import { readCursorName } from './cursors.js'
import { readHistory } from './subscribe/history.js'
import {
  PAGE_ONLY,
  readFlag,
  readFormat,
  readPolicy,
  readStart,
  refuseMisplaced,
  STREAM_ONLY,
} from './subscribe/stream-query.js'

type Options = StreamLimits & Pick<Settings, 'corsOrigins' | 'clockTolerance'>

/** A stream to open, without its sink. */
type Wanted = Omit<Subscription, 'info' | 'sink'> & Required<Pick<StreamIdentity, 'principal' | 'observes'>>

/** The dependencies of the routes. */
interface Context {
  hub: Hub
  traces: Traces
  /** The origins whose pages may use the hub. */
  listed: OriginList
  /** How far the clock of a client may be ahead, in milliseconds. */
  clockTolerance: number
  limits: StreamLimits
}

const subscribe: FastifyPluginAsyncTypebox<Options> = async (app, { corsOrigins, clockTolerance, ...limits }) => {
  const { [kTraces]: traces } = app
  const hub = hubOf(app)
  const context: Context = { hub, traces, listed: new OriginList(corsOrigins), clockTolerance, limits }
  const route = { onRequest: app[kAuthenticate], config: { eventStream: true, span: spanOf } }

  app.get(
    '/topics/:topic/events',
    { ...route, schema: { params: PatternParams, querystring: TopicQuery } },
    (request, reply) => answer(context, request, reply, [request.params.topic], request.query),
  )

  app.get('/events', { ...route, schema: { querystring: EventsQuery } }, (request, reply) =>
    answer(context, request, reply, listOf(request.query.topic), request.query),
  )
}

export default subscribe

/** Returns the span of the opening of a stream. A page of history has none, and `HEAD` opens no stream. */
function spanOf(request: FastifyRequest): RequestSpan | undefined {
  if (request.method === 'HEAD' || !wantsStream(request)) return undefined
  const { topic } = request.params as { topic?: string }
  const patterns = topic === undefined ? listOf((request.query as EventsQuery).topic) : [topic]
  return { name: 'subscribe', attributes: () => receiveFrom(patterns) }
}

/** Answers with an event stream or with a page of history, depending on `Accept`. */
async function answer(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  patterns: string[],
  query: EventsQuery,
): Promise<FastifyReply> {
  const selection = select(request, patterns, query)
  varyByAccept(reply)
  switch (preferredType(request)) {
    case 'text/event-stream':
      refuseMisplaced(query, PAGE_ONLY, 'a page of history (Accept: application/json)', 'an event stream')
      return traceOpening(context, request, selection, () =>
        answerWithStream(context, request, reply, selection, query),
      )
    case 'application/json':
      refuseMisplaced(query, STREAM_ONLY, 'an event stream (Accept: text/event-stream)', 'a page of history')
      return reply.type('application/json; charset=utf-8').send(await readHistory(context, selection, query))
    default:
      throw new Problem(
        'not-acceptable',
        'Accept text/event-stream for an event stream, or application/json for a page of history.',
      )
  }
}

/** Runs the opening of a stream in a span. The span ends once the stream is open, long before the stream ends. */
function traceOpening(
  { traces }: Context,
  { method, headers }: FastifyRequest,
  { patterns }: Selection,
  open: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  if (method === 'HEAD') return open()
  const trace = traces.begin('subscribe', headers, () => receiveFrom(patterns))
  return trace ? trace.run(open) : open()
}

/** Answers with an event stream. */
async function answerWithStream(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  selection: Selection,
  query: EventsQuery,
): Promise<FastifyReply> {
  const { hub, limits, listed, clockTolerance } = context
  const format = readFormat(query.format)
  const cursor = query.cursor === undefined ? undefined : readCursor(request, query.cursor, listed)
  const slow = readPolicy(query.slow)
  const observes = readFlag('observe', query.observe)
  if (observes) authorizeAdmin(requirePrincipal(request), 'observe a topic without being present')
  const wanted = readStart(request, query, clockTolerance)
  const identity = { address: request.ip, principal: requirePrincipal(request) }
  const [start, elsewhere] = await Promise.all([
    hub.streams.locate(selection, wanted, cursor),
    countElsewhere(hub, limits, identity),
  ])
  let principal = admit(context, request, elsewhere)
  if (cursor && request.method !== 'HEAD') {
    await hub.cursors.use(cursor, start.sequence, wanted.lastEventId !== undefined && !start.gap)
    principal = admit(context, request, elsewhere)
  }
  if (start.hasEnded) return reply.code(204).header('cache-control', 'no-store').send() // EventSource stops at 204
  return openStream(hub, request, reply, { principal, observes, selection, format, start, cursor, slow })
}

/**
 * Reads the name of the stream's named cursor. Opening the stream may create or move the cursor, so the page's origin
 * is checked.
 */
function readCursor(request: FastifyRequest, name: string, listed: OriginList): CursorName {
  const cursor = readCursorName(requirePrincipal(request), name)
  const { source } = requireTokenSearch(request)
  if (source === 'cookie' || (source === 'application' && isFromPage(request))) requireAllowedReader(request, listed)
  return cursor
}

/** Checks after an `await` that the token is still in force and that another stream may open. */
function admit({ hub, limits }: Context, request: FastifyRequest, elsewhere: StreamCounts): Principal {
  const principal = requirePrincipal(request)
  requireFreeStream(hub, limits, { address: request.ip, principal }, elsewhere)
  return principal
}

/** Sends the head of a stream and opens the stream, unless it ends at once. */
function openStream(
  hub: Hub,
  request: FastifyRequest,
  reply: FastifyReply,
  { principal, observes, ...subscription }: Wanted,
): FastifyReply {
  const { selection, start } = subscription
  const id = hub.drawConnectionId()
  const resumeId = hub.streams.resumeId(start)
  const head = { 'fanfare-connection': id, ...(resumeId === undefined ? {} : { 'last-event-id': resumeId }) }
  if (request.method === 'HEAD' || hasExpired(principal)) {
    // The clock tolerance accepts a token for a request after its `exp`, but a stream ends at `exp`.
    reply[kSendEndedStream](
      head,
      request.method === 'HEAD' ? undefined : hub.streams.expiredStream({ id, selection, start }),
    )
    return reply
  }
  const sink = reply[kOpenStream](head)
  if (!sink) return reply // the peer has gone
  hub.streams.subscribe({ ...subscription, info: { id, address: request.ip, principal, observes }, sink })
  return reply
}

/** Returns the selection of a request. Checks its topics, types and grants. */
function select(request: FastifyRequest, patterns: string[], query: EventsQuery): Selection {
  if (patterns.length === 0 || patterns.length > MAX_PATTERNS) {
    throw new Problem(
      'invalid-request',
      `A stream can have 1 to ${MAX_PATTERNS} topics and patterns, each as ?topic=…; the request has ${patterns.length}.`,
    )
  }
  const types = listOf(query.type)
  if (types.includes(''))
    throw new Problem(
      'invalid-request',
      'The query parameter "type" has no value. Leave it out to get events of all types.',
    )
  if (types.length > MAX_TYPES)
    throw new Problem('invalid-request', `A request can have at most ${MAX_TYPES} event types.`)
  patterns.forEach(requirePattern)
  authorize(requirePrincipal(request), 'subscribe', patterns)
  requireOwnTopics(patterns)
  const presence = readFlag('presence', query.presence)
  if (presence) authorize(requirePrincipal(request), 'presence', patterns)
  return new Selection(patterns, types, presence)
}

/**
 * Checks that reserved topics and patterns match a topic that the hub publishes to. Other reserved topics never have
 * events.
 * @throws Problem `not-found`
 */
export function requireOwnTopics(patterns: readonly string[]): void {
  const unknown = patterns.find(
    (pattern) => isReserved(pattern) && !SYSTEM_TOPICS.some((topic) => matches(pattern, topic)),
  )
  if (unknown === undefined) return
  throw new Problem(
    'not-found',
    `${quote(unknown)} is not one of the system topics, which are ${SYSTEM_TOPICS.join(' and ')}.`,
  )
}
