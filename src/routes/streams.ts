/**
 * The routes of finite topics: the Durable Streams protocol at `/streams/{path}`.
 * Source: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md
 */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { topicOfPath } from '../model/stream-path.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { hubOf } from '../plugins/hub.js'
import { kLimitPublishing } from '../plugins/limits.js'
import { kTraces } from '../plugins/traces.js'
import { StreamParams, StreamQuery } from '../schemas/finite.js'
import { inSpan } from './request/in-span.js'
import { cancelledPath, requireGrant, STREAMS, topicOf } from './streams/access.js'
import { addCommonHeaders, refusalHeaders, SECURITY } from './streams/answer-headers.js'
import { answerAppend } from './streams/append.js'
import { takeBodies } from './streams/body.js'
import { answerCancel, requireCanceller } from './streams/cancel.js'
import { requireState, type StreamsContext, type StreamSettings } from './streams/context.js'
import { answerCreation } from './streams/create.js'
import { answerRead, answerWithState } from './streams/read.js'
import { spanOfRead, spanOfWrite } from './streams/spans.js'
import { SharedPages } from './streams/shared-pages.js'
import { SharedWaits } from './streams/shared-waits.js'
import { TailFeeds } from './streams/tail-feeds.js'

const PATH = `${STREAMS}/*`

const streams: FastifyPluginAsync<StreamSettings> = async (app, settings) => {
  const { finite } = hubOf(app)
  const pages = new SharedPages(finite)
  const context: StreamsContext = {
    hub: hubOf(app),
    finite,
    pages,
    waits: new SharedWaits(finite),
    tails: new TailFeeds(finite, pages, settings.heartbeat),
    traces: app[kTraces],
    settings,
  }
  app.addHook('onSend', addCommonHeaders)
  app.setErrorHandler((err, request, reply) => {
    // the answer to an EventSource is sent without the hook above
    reply.headers({ ...SECURITY, ...refusalHeaders(err, request) })
    throw err // the hub's own error handler answers
  })
  takeBodies(app, settings)
  addReads(app, context)
  addWrites(app, context)
}

export default streams

function addReads(app: FastifyInstance, context: StreamsContext): void {
  const isReader = (request: FastifyRequest) => requireGrant(request, 'subscribe', topicOf(app, request))
  const route = {
    onRequest: [app[kAuthenticate], check(isReader)],
    config: {
      anyQuery: true,
      takesTicket: isEventStream,
      opensStream: isEventSource,
      span: (request: FastifyRequest) => spanOfRead(app, request),
    },
    schema: { params: StreamParams, querystring: StreamQuery },
  }
  app.get(PATH, route, (request, reply) =>
    (request.method === 'HEAD' ? answerWithState : answerRead)(context, topicOf(app, request), request, reply),
  )
}

function addWrites(app: FastifyInstance, context: StreamsContext): void {
  const isPublisher = (request: FastifyRequest) => requireGrant(request, 'publish', topicOf(app, request))
  const config = {
    anyQuery: true,
    publishes: 'bytes' as const,
    span: (request: FastifyRequest) => spanOfWrite(app, request),
  }
  const schema = { params: StreamParams }
  const limited = { onRequest: [app[kAuthenticate], check(isPublisher), ...app[kLimitPublishing]], config, schema }

  app.put(PATH, limited, (request, reply) =>
    inSpan(context.traces, request, (trace) =>
      answerCreation(app, context, topicOf(app, request), request, reply, trace),
    ),
  )

  // a request that cancels needs no grant if the bearer has created the topic
  const requireWriter = async (request: FastifyRequest): Promise<void> => {
    const cancelled = cancelledPath(app, request)
    if (cancelled === undefined) isPublisher(request)
    else await requireCanceller(context, topicOfPath(cancelled), request)
  }
  const onRequest = [app[kAuthenticate], requireWriter, ...app[kLimitPublishing]]
  app.post(PATH, { ...limited, onRequest }, (request, reply) => {
    const cancelled = cancelledPath(app, request)
    if (cancelled !== undefined) return answerCancel(context, topicOfPath(cancelled), request, reply)
    return inSpan(context.traces, request, (trace) =>
      answerAppend(context, topicOf(app, request), request, reply, trace),
    )
  })

  app.delete(PATH, { onRequest: [app[kAuthenticate], check(isPublisher)], config, schema }, async (request, reply) => {
    const topic = topicOf(app, request)
    await requireState(context, topic)
    requireGrant(request, 'publish', topic)
    await context.finite.delete(topic)
    request.log.info({ topic, subject: requirePrincipal(request).subject }, 'finite topic deleted')
    return reply.code(204).send()
  })
}

/** Creates an `onRequest` hook from a check that throws. */
function check(require: (request: FastifyRequest) => void) {
  return (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
    require(request)
    done()
  }
}

function isEventStream({ query }: FastifyRequest): boolean {
  return (query as StreamQuery).live === 'sse'
}

/**
 * Whether an `EventSource` has sent a request: any status but 200 would stop it for good. Other clients of the protocol
 * do not ask for this media type, and retry after the 503 or 429 that the protocol prescribes.
 */
function isEventSource(request: FastifyRequest): boolean {
  return request.method === 'GET' && isEventStream(request) && /text\/event-stream/i.test(request.headers.accept ?? '')
}
