/** Subscribing: an event stream, or the same events as a page of history. */
import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isFromPage, requireAllowedReader } from '../auth/origin.js'
import { OriginList } from '../auth/origin-list.js'
import { authorize, authorizeAdmin } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { CursorName } from '../hub/named-cursors.js'
import { SYSTEM_TOPICS } from '../hub/system-topics.js'
import { hasExpired, type Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { Selection } from '../model/selection.js'
import type { Format } from '../wire/sse.js'
import type { StartRequest } from '../hub/start.js'
import type { SlowPolicy } from '../hub/subscriber.js'
import { isReserved, matches, requirePattern } from '../model/topic.js'
import { requirePrincipal } from '../plugins/auth.js'
import { preferredType } from '../server/negotiation.js'
import { listOf, TopicParams } from '../schemas/common.js'
import { EventsQuery, TopicQuery } from '../schemas/stream.js'
import type { Settings } from '../settings.js'
import { Compile, Type } from '../schemas/typebox.js'
import { refuseWhileBusy, type StreamLimits } from './busy.js'
import { readCount } from './counts.js'
import { readCursorName } from './cursors.js'
import { readHistory } from './history.js'

/** The most topics and patterns of one stream. */
export const MAX_PATTERNS = 100
/** The most retained events that can be asked for by number. */
const MAX_REPLAY = 1_000
/** The most event types that can be asked for. */
const MAX_TYPES = 100

/** Parameters that only an event stream has, and those that only a page of history has. */
const STREAM_ONLY = ['lastEventId', 'replay', 'from', 'format', 'cursor', 'slow', 'presence', 'observe'] as const
const PAGE_ONLY = ['after', 'limit', 'last'] as const

const dateTime = Compile(Type.String({ format: 'date-time' }))

type Options = StreamLimits & Pick<Settings, 'corsOrigins' | 'clockTolerance'>

const subscribe: FastifyPluginAsyncTypebox<Options> = async (app, { corsOrigins, clockTolerance, ...limits }) => {
  const listed = new OriginList(corsOrigins)
  const route = { onRequest: app.authenticate, config: { eventStream: true } }

  app.get(
    '/topics/:topic/events',
    { ...route, schema: { params: TopicParams, querystring: TopicQuery } },
    (request, reply) => answer(request, reply, [request.params.topic], request.query),
  )

  app.get('/events', { ...route, schema: { querystring: EventsQuery } }, (request, reply) =>
    answer(request, reply, listOf(request.query.topic), request.query),
  )

  async function answer(request: FastifyRequest, reply: FastifyReply, patterns: string[], query: EventsQuery) {
    const selection = select(request, patterns, query)
    vary(reply)
    switch (preferredType(request)) {
      case 'text/event-stream':
        refuseMisplaced(query, PAGE_ONLY, 'a page of history (Accept: application/json)', 'an event stream')
        return stream(request, reply, selection, query)
      case 'application/json':
        refuseMisplaced(query, STREAM_ONLY, 'an event stream (Accept: text/event-stream)', 'a page of history')
        return reply.type('application/json; charset=utf-8').send(await readHistory(app.fanfareHub, selection, query))
      default:
        throw new Problem(
          'not-acceptable',
          'There is an event stream (Accept: text/event-stream) and a page of history (Accept: application/json).',
        )
    }
  }

  /** Reads the name of the cursor that the stream goes on from, and perhaps makes or moves. */
  function readCursor(request: FastifyRequest, name: string): CursorName {
    const cursor = readCursorName(requirePrincipal(request), name)
    const { source } = request.fanfareToken!
    if (source === 'cookie' || (source === 'application' && isFromPage(request))) requireAllowedReader(request, listed)
    return cursor
  }

  async function stream(request: FastifyRequest, reply: FastifyReply, selection: Selection, query: EventsQuery) {
    const { fanfareHub: hub } = app
    const format = readFormat(query.format)
    const cursor = query.cursor === undefined ? undefined : readCursor(request, query.cursor)
    const slow = readPolicy(query.slow)
    const observes = readFlag('observe', query.observe)
    if (observes) authorizeAdmin(requirePrincipal(request), 'observe a topic without being present')
    const wanted = readStart(request, query, clockTolerance)
    const start = await hub.locate(selection, wanted, cursor)
    let principal = admit()
    if (cursor && request.method !== 'HEAD') {
      await hub.cursors.use(cursor, start.sequence, wanted.lastEventId !== undefined && !start.gap)
      principal = admit()
    }
    const id = randomBytes(12).toString('base64url')
    const resumeId = hub.resumeId(start)
    const head = { 'fanfare-connection': id, ...(resumeId === undefined ? {} : { 'last-event-id': resumeId }) }
    if (request.method === 'HEAD' || hasExpired(principal)) {
      // With the tolerance for clocks a token is accepted beyond its `exp`, but no stream lives then.
      reply.endedFanfareStream(
        head,
        request.method === 'HEAD' ? undefined : hub.expiredStream({ id, selection, start }),
      )
      return reply
    }
    const sink = reply.fanfareStream(head)
    if (!sink) return reply // the peer has gone
    hub.subscribe({
      info: { id, address: request.ip, principal, observes },
      selection,
      format,
      start,
      sink,
      cursor,
      slow,
    })
    return reply

    /**
     * Checks again, after something was waited for, that the token is in force and that there may be another stream.
     */
    function admit(): Principal {
      const principal = requirePrincipal(request)
      refuseWhileBusy(hub, limits, { address: request.ip, principal })
      return principal
    }
  }
}

export default subscribe

/** What is asked for, if it may be. */
function select(request: FastifyRequest, patterns: string[], query: EventsQuery): Selection {
  if (patterns.length === 0 || patterns.length > MAX_PATTERNS) {
    throw new Problem(
      'invalid-request',
      `A stream has 1 to ${MAX_PATTERNS} topics or patterns, each as ?topic=…; here are ${patterns.length}.`,
    )
  }
  const types = listOf(query.type)
  if (types.includes(''))
    throw new Problem(
      'invalid-request',
      'The query has "type" without a value: no event has an empty type. Leave it out for all types.',
    )
  if (types.length > MAX_TYPES)
    throw new Problem('invalid-request', `A stream may be limited to at most ${MAX_TYPES} event types.`)
  patterns.forEach(requirePattern)
  authorize(requirePrincipal(request), 'subscribe', patterns)
  requireOwnTopics(patterns)
  const presence = readFlag('presence', query.presence)
  if (presence) authorize(requirePrincipal(request), 'presence', patterns)
  return new Selection(patterns, types, presence)
}

/**
 * Checks that reserved topics and patterns stand for a topic that the hub publishes to: on others nothing would ever
 * come.
 * @throws Problem `not-found`
 */
export function requireOwnTopics(patterns: readonly string[]): void {
  const unknown = patterns.find(
    (pattern) => isReserved(pattern) && !SYSTEM_TOPICS.some((topic) => matches(pattern, topic)),
  )
  if (unknown === undefined) return
  throw new Problem(
    'not-found',
    `${quote(unknown)} is none of the hub's own topics: they are ${SYSTEM_TOPICS.join(' and ')}.`,
  )
}

/** The answer depends on `Accept`, besides what it depends on already. */
function vary(reply: FastifyReply): void {
  const already = reply.getHeader('vary')
  reply.header('vary', already === undefined ? 'Accept' : `${String(already)}, Accept`)
}

/** Refuses parameters of the other representation: ignored, they would lose events without a word. */
function refuseMisplaced(
  query: EventsQuery,
  names: readonly (keyof EventsQuery)[],
  theirs: string,
  ours: string,
): void {
  const misplaced = names.find((name) => query[name] !== undefined)
  if (misplaced !== undefined)
    throw new Problem(
      'invalid-request',
      `The query parameter ${quote(misplaced)} is for ${theirs}, and this request is for ${ours}.`,
    )
}

function readFormat(format = 'raw'): Format {
  if (format === 'raw' || format === 'json' || format === 'cloudevents') return format
  throw new Problem('invalid-request', 'format is "raw", "json" or "cloudevents".')
}

function readPolicy(slow = 'resume'): SlowPolicy {
  if (slow === 'resume' || slow === 'latest') return slow
  throw new Problem('invalid-request', 'slow is "resume" or "latest".')
}

function readFlag(name: string, value = 'false'): boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Problem('invalid-request', `${name} is "true" or "false".`)
}

/**
 * Reads where a stream is to begin. An empty last event id is none.
 * @param clockTolerance how far the clock of the client may be ahead, in milliseconds
 */
function readStart(
  request: FastifyRequest,
  { lastEventId: inQuery, replay, from }: EventsQuery,
  clockTolerance: number,
): StartRequest {
  const header = [request.headers['last-event-id']].flat()[0]
  if (replay !== undefined && from !== undefined)
    throw new Problem('invalid-request', 'A stream begins with "replay" or with "from", not with both.')
  return {
    lastEventId: [header, inQuery].find((id) => id !== undefined && id !== ''),
    replay:
      replay === undefined || replay === 'all' || replay === 'latest'
        ? replay
        : readCount('replay', replay, 0, MAX_REPLAY),
    from: from === undefined || from === 'start' ? from : readTime(from, clockTolerance),
  }
}

/**
 * Returns a time (RFC 3339, 5.6) in milliseconds since the epoch of Unix. A leap second is read as the second before
 * it. A time in the future is refused: events that come before it would be sent all the same.
 */
function readTime(text: string, clockTolerance: number): number {
  const time = dateTime.Check(text) ? Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')) : NaN
  if (time > Date.now() + clockTolerance) {
    throw new Problem(
      'invalid-request',
      `from is a time in the future: ${quote(text)}. Leave it out for what comes from now on.`,
    )
  }
  if (!Number.isNaN(time)) return time
  throw new Problem(
    'invalid-request',
    `from is "start" or an RFC 3339 time such as 2026-12-31T23:59:59Z (a "+" in a URL is written %2B); ${quote(text)} is neither.`,
  )
}
