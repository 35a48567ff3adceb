/** The headers of answers about finite topics. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FiniteTopicError, type AppendAnswer, type FiniteTopic } from '../../hub/finite/finite-topic.js'
import { header } from './request-headers.js'
import { printOffset } from './offset.js'

/** The headers of the protocol and of the hub that a page may read. */
const EXPOSED = [
  'Location',
  'ETag',
  'Stream-Next-Offset',
  'Stream-Up-To-Date',
  'Stream-Closed',
  'Stream-Cursor',
  'Stream-TTL',
  'Stream-Expires-At',
  'Stream-SSE-Data-Encoding',
  'Producer-Epoch',
  'Producer-Seq',
  'Producer-Expected-Seq',
  'Producer-Received-Seq',
  'Fanfare-Status',
].join(', ')

/** The headers of every answer (Durable Streams, 12.7). `cross-origin` is safe: CORS decides which pages can read. */
export const SECURITY = { 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'cross-origin' }

/** An `onSend` hook that adds the headers of every answer. */
export function addCommonHeaders(
  _request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: (err: null, payload: unknown) => void,
): void {
  reply.headers(commonHeaders(reply))
  done(null, payload)
}

/** Returns the headers of every answer. */
export function commonHeaders(reply: FastifyReply): Record<string, string> {
  const exposed = reply.getHeader('access-control-expose-headers')
  return {
    ...SECURITY,
    ...(exposed === undefined ? {} : { 'access-control-expose-headers': `${String(exposed)}, ${EXPOSED}` }),
  }
}

/** Returns the headers that tell the tail and the end of a topic. */
export function stateHeaders({ tail, status }: FiniteTopic): Record<string, string> {
  return { 'stream-next-offset': printOffset(tail), ...endHeaders(status) }
}

/** Returns the headers that tell how a topic has ended. */
export function endHeaders(status: FiniteTopic['status']): Record<string, string> {
  return status === 'open' ? {} : { 'stream-closed': 'true', 'fanfare-status': status }
}

/** Returns the headers that tell what a topic was created with. */
export function configHeaders({ contentType, ttl, expiresAt }: FiniteTopic): Record<string, string> {
  return {
    'content-type': contentType,
    ...(ttl === undefined ? {} : { 'stream-ttl': String(Math.ceil(ttl / 1_000)) }),
    ...(expiresAt === undefined ? {} : { 'stream-expires-at': new Date(expiresAt).toISOString() }),
  }
}

/** Returns the headers that tell what a producer has stored. */
export function producerHeaders({ producer }: AppendAnswer): Record<string, string> {
  if (!producer) return {}
  return { 'producer-epoch': String(producer.epoch), 'producer-seq': String(producer.seq) }
}

/** Returns the headers of a refusal. */
export function refusalHeaders(err: unknown, request: FastifyRequest): Record<string, string> {
  if (!(err instanceof FiniteTopicError)) return {}
  const { code, topic, expected } = err
  const state = topic === undefined || topic.status === 'open' ? {} : stateHeaders(topic)
  if (expected === undefined) return state
  if (code === 'producer-fenced') return { ...state, 'producer-epoch': String(expected) }
  if (code !== 'producer-gap') return state
  const received = header(request.headers, 'producer-seq') ?? ''
  return { ...state, 'producer-expected-seq': String(expected), 'producer-received-seq': received }
}
