/** Appends to finite topics, and closes them (Durable Streams, 5.2 and 5.3). */
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import type { AppendRequest, FiniteTopic } from '../../hub/finite/finite-topic.js'
import type { EventTopic } from '../../model/topic.js'
import type { TraceContext } from '../../model/trace-context.js'
import { readBody } from '../../server/body-timeout.js'
import { requireGrant } from './access.js'
import { bodyLimit, isLiveUpload } from './body.js'
import { producerHeaders, stateHeaders } from './answer-headers.js'
import { requireMediaType, requireState, type StreamsContext } from './context.js'
import { messagesOf, placing } from './messages.js'
import { readEnd, readLease, readOrder, readProducer } from './request-headers.js'
import { answerUpload } from './upload.js'

/** Answers `POST`. */
export async function answerAppend(
  context: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
  reply: FastifyReply,
  trace: TraceContext | undefined,
): Promise<FastifyReply> {
  const { headers, body } = request
  const asked = {
    trace,
    end: readEnd(headers),
    producer: readProducer(headers),
    order: readOrder(headers),
    lease: readLease(headers),
  }
  const state = await requireState(context, topic)
  requireGrant(request, 'publish', topic) // the token may have expired while the body arrived
  if (body instanceof Readable && isLiveUpload(request, state.contentType))
    return answerUpload(context, state, request, reply, { ...asked, body })
  const bytes = await bytesOf(context, body)
  const answer = await placing(bytes, () => {
    const append = bytes.length === 0 ? withoutBody(asked) : withBody(context, state, headers['content-type'], bytes)
    return context.finite.append(topic, { ...asked, ...append })
  })
  const isNew = bytes.length > 0 && !answer.duplicate
  reply.code(asked.producer && isNew ? 200 : 204)
  return reply.headers({ ...stateHeaders(answer.topic), ...producerHeaders(answer) }).send()
}

/** Returns the bytes of a body. Lines of JSON are bytes for a stream of that content type, whose body is unread. */
async function bytesOf({ settings: { maxEventSize, bodyTimeout } }: StreamsContext, body: unknown): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return body
  if (!(body instanceof Readable)) return Buffer.alloc(0)
  return promisify(readBody)(body, bodyLimit(maxEventSize, false), bodyTimeout)
}

/**
 * Returns the append of a request without a body: it closes the stream, or only renews the lease.
 * @throws Problem `invalid-request`
 */
function withoutBody({ end, lease }: Omit<AppendRequest, 'messages'>): AppendRequest {
  if (end !== undefined || lease !== undefined) return { messages: [] }
  throw new Problem(
    'invalid-request',
    'The request has no body: send messages, "Stream-Closed: true", or "Fanfare-Lease" to keep the stream open.',
  )
}

/** @throws Problem, HubError */
function withBody(
  { settings }: StreamsContext,
  state: FiniteTopic,
  contentType: string | undefined,
  body: Buffer,
): AppendRequest {
  if (contentType === undefined)
    throw new Problem('invalid-request', `The header "Content-Type" is missing: the stream has ${state.contentType}.`)
  requireMediaType(state, contentType)
  const messages = messagesOf(body, state.contentType, settings.maxEventSize)
  if (messages.length > 0) return { messages }
  throw new Problem('invalid-request', 'The body is an empty array: it has no messages to append.')
}
