/** Subscribing: an event stream, or the same events as a page of history. */
import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { authorize } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { BookmarkName } from '../hub/bookmarks.js'
import type { Principal } from '../hub/principal.js'
import { Selection } from '../hub/selection.js'
import type { Format } from '../hub/sse.js'
import type { StartRequest } from '../hub/start.js'
import type { SlowPolicy } from '../hub/subscriber.js'
import { requirePattern } from '../hub/topic.js'
import { preferredType } from '../negotiation.js'
import { listOf, TopicParams } from '../schemas/common.js'
import { EventsQuery, TopicQuery } from '../schemas/stream.js'
import { refuseWhileBusy, type StreamLimits } from './busy.js'
import { readCount } from './counts.js'
import { readHistory } from './history.js'

/** The most topics and patterns of one stream. */
export const MAX_PATTERNS = 100
/** The most retained events that can be asked for by number. */
const MAX_REPLAY = 1_000
const CURSOR_NAME = /^[A-Za-z0-9_-]{1,64}$/
/** The most event types that can be asked for. */
const MAX_TYPES = 100

const subscribe: FastifyPluginAsyncTypebox<StreamLimits> = async (app, limits) => {
  const route = { onRequest: app.authenticate, config: { eventStream: true } }

  app.get('/topics/:topic/events', { ...route, schema: { params: TopicParams, querystring: TopicQuery } }, (request, reply) =>
    answer(request, reply, [request.params.topic], request.query))

  app.get('/events', { ...route, schema: { querystring: EventsQuery } }, (request, reply) =>
    answer(request, reply, listOf(request.query.topic), request.query))

  async function answer(request: FastifyRequest, reply: FastifyReply, patterns: string[], query: EventsQuery) {
    const selection = select(request, patterns, query)
    vary(reply)
    switch (preferredType(request)) {
      case 'text/event-stream':
        return stream(request, reply, selection, query)
      case 'application/json':
        return reply.type('application/json; charset=utf-8').send(await readHistory(app.hub, selection, query))
      default:
        throw new Problem('not-acceptable', 'There is an event stream (Accept: text/event-stream) and a page of history (Accept: application/json).')
    }
  }

  async function stream(request: FastifyRequest, reply: FastifyReply, selection: Selection, query: EventsQuery) {
    const { hub } = app
    const format = readFormat(query.format)
    const bookmark = readBookmark(request.fanfarePrincipal!, query)
    const slow = readPolicy(query.slow)
    const start = await hub.locate(selection, readStart(request, query), bookmark)
    await reply.fanfareTurn()
    const principal = request.fanfarePrincipal! // the token may have ended while the log was read
    refuseWhileBusy(hub, limits, { address: request.ip, principal })
    const id = randomBytes(12).toString('base64url')
    const head = { 'fanfare-connection': id, 'last-event-id': hub.cursor(start.sequence) }
    if (request.method === 'HEAD') {
      reply.endedFanfareStream(head)
      return reply
    }
    const sink = reply.fanfareStream(head)
    if (!sink) return reply // the peer has gone
    hub.subscribe({
      info: { id, address: request.ip, principal },
      selection,
      format,
      start,
      sink,
      bookmark,
      slow,
    })
    return reply
  }
}

export default subscribe

/** What is asked for, if it may be. */
function select(request: FastifyRequest, patterns: string[], query: EventsQuery): Selection {
  if (patterns.length === 0 || patterns.length > MAX_PATTERNS) {
    throw new Problem('invalid-request', `A stream has 1 to ${MAX_PATTERNS} topics or patterns, each as ?topic=…; here are ${patterns.length}.`)
  }
  const types = listOf(query.type)
  if (types.length > MAX_TYPES) throw new Problem('invalid-request', `A stream may be limited to at most ${MAX_TYPES} event types.`)
  patterns.forEach(requirePattern)
  authorize(request.fanfarePrincipal!, 'subscribe', patterns)
  const presence = readFlag('presence', query.presence)
  if (presence) authorize(request.fanfarePrincipal!, 'presence', patterns)
  return new Selection(patterns, types, presence)
}

/** The answer depends on `Accept`, besides what it depends on already. */
function vary(reply: FastifyReply): void {
  const already = reply.getHeader('vary')
  reply.header('vary', already === undefined ? 'Accept' : `${String(already)}, Accept`)
}

/** The named cursor that the stream goes on from, when it has one. */
function readBookmark({ subject }: Principal, { cursor }: EventsQuery): BookmarkName | undefined {
  if (cursor === undefined) return undefined
  if (!CURSOR_NAME.test(cursor)) throw new Problem('invalid-request', 'A named cursor is called by 1 to 64 of letters, digits, "-" and "_".')
  if (subject === undefined) throw new Problem('invalid-request', 'A named cursor belongs to a subject: the token needs a "sub".')
  return { subject, name: cursor }
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

function readStart(request: FastifyRequest, query: EventsQuery): StartRequest {
  const header = request.headers['last-event-id']
  const replay = query.replay === undefined || query.replay === 'all' ? query.replay : readCount('replay', query.replay, 0, MAX_REPLAY)
  const lastEventId = (Array.isArray(header) ? header[0] : header) ?? query.lastEventId
  return { lastEventId: lastEventId === '' ? undefined : lastEventId, replay }
}
