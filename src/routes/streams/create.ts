/** Creates finite topics (Durable Streams, 5.1). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import type { Fork } from '../../hub/finite/finite-topic.js'
import { topicOfPath } from '../../model/stream-path.js'
import type { EventTopic } from '../../model/topic.js'
import type { TraceContext } from '../../model/trace-context.js'
import { requirePrincipal } from '../../plugins/auth.js'
import { isHost } from '../../plugins/host-header.js'
import { forwardedPrefix, hasPassedProxy } from '../../server/forwarded-prefix.js'
import { CANCEL, requireGrant, STREAMS } from './access.js'
import { configHeaders, stateHeaders } from './answer-headers.js'
import type { StreamsContext } from './context.js'
import { DEFAULT_MEDIA_TYPE, essenceOf } from '../../model/media-type.js'
import { kMountPath, kPublicPath } from '../../plugins/mount.js'
import { messagesOf, placing } from './messages.js'
import { parseOffset } from './offset.js'
import {
  header,
  readCoalesce,
  readEnd,
  readExpiry,
  readLease,
  readMediaType,
  readSubOffset,
} from './request-headers.js'

/** Answers `PUT`. */
export async function answerCreation(
  app: FastifyInstance,
  context: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
  reply: FastifyReply,
  trace: TraceContext | undefined,
): Promise<FastifyReply> {
  const { headers } = request
  const { finite, settings } = context
  if (topic.endsWith(`.${CANCEL}`))
    throw new Problem('invalid-stream', `A path that ends with "/${CANCEL}" cancels a stream: no stream can have it.`)
  const fork = readFork(app, request)
  const config = { ...readExpiry(headers), coalesce: readCoalesce(headers), fork }
  const end = readEnd(headers)
  const lease = readLease(headers)
  if (lease !== undefined && end !== undefined)
    throw new Problem('invalid-request', 'A stream that is created closed has no lease: leave "Fanfare-Lease" out.')
  const { asked: contentType, ofMessages } = await mediaTypesOf(context, request, fork)
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const create = () => {
    const messages = body.length === 0 ? [] : messagesOf(body, ofMessages, settings.maxEventSize)
    requireGrant(request, 'publish', topic) // the token may have expired while the body arrived
    const { subject: createdBy } = requirePrincipal(request)
    return finite.create(topic, { contentType, ...config }, { messages, end, createdBy, lease, trace })
  }
  const { topic: state, created } = await placing(body, create)
  if (!created && lease !== undefined && state.status === 'open') await finite.append(topic, { messages: [], lease })
  if (created) reply.code(201).header('location', urlOf(request))
  const { 'content-type': type } = configHeaders(state)
  return reply.headers({ 'content-type': type, ...stateHeaders(state) }).send(Buffer.alloc(0))
}

/**
 * Returns the URL of a request without its query. The URL is relative (RFC 9110, 10.2.2) if a proxy may have removed a
 * prefix, or if the host or the protocol of the request is not valid.
 */
function urlOf(request: FastifyRequest): string {
  const { protocol, host, originalUrl } = request
  const [path = ''] = originalUrl.split('?', 1)
  const prefix = forwardedPrefix(request)
  const hasOrigin = isHost(host) && /^https?$/.test(protocol)
  if (!hasOrigin || (prefix === undefined && hasPassedProxy(request))) return `.${path.slice(path.lastIndexOf('/'))}`
  return `${protocol}://${host}${prefix ?? ''}${path}`
}

/**
 * Reads the source of a fork (Durable Streams, 4.2); `undefined`: the stream is no fork. The bearer needs a `subscribe`
 * grant for the source.
 * @throws Problem, HubError
 */
function readFork(app: FastifyInstance, request: FastifyRequest): Fork | undefined {
  const { headers } = request
  const from = header(headers, 'stream-forked-from')
  const offset = header(headers, 'stream-fork-offset')
  const sub = readSubOffset(headers)
  if (from === undefined) {
    if (offset === undefined && sub === undefined) return undefined
    throw new Problem('invalid-stream', 'The headers "Stream-Fork-…" need "Stream-Forked-From".')
  }
  const source = topicOfSource(from, [app[kPublicPath](request), app[kMountPath](request)])
  requireGrant(request, 'subscribe', source)
  return { source, offset: offset === undefined ? undefined : parseOffset(offset), sub }
}

/**
 * Returns the topic of the source of a fork.
 * @param from the path of its URL, or the part of it below `/streams`
 * @param mounts the prefixes that the path may have before `/streams`
 */
function topicOfSource(from: string, mounts: readonly string[]): EventTopic {
  const [path = ''] = from.split('?', 1)
  const above = [...mounts.map((mount) => `${mount}${STREAMS}/`), '/'].find((start) => path.startsWith(start)) ?? ''
  return topicOfPath(path.slice(above.length))
}

/**
 * Reads the content type of a request, and returns it spelled as that of the fork's source if both mean the same.
 * @returns `ofMessages`: the content type of the messages in the body
 */
async function mediaTypesOf(
  { finite }: StreamsContext,
  request: FastifyRequest,
  fork: Fork | undefined,
): Promise<{ asked: string | undefined; ofMessages: string }> {
  const asked = readMediaType(request.headers, fork !== undefined)
  const source = fork && (await finite.get(fork.source))
  if (fork) requireGrant(request, 'subscribe', fork.source)
  const isSame = asked !== undefined && source && essenceOf(asked) === essenceOf(source.contentType)
  return {
    asked: isSame ? source.contentType : asked,
    ofMessages: asked ?? source?.contentType ?? DEFAULT_MEDIA_TYPE,
  }
}
