/** The spans of requests about finite topics. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isLines } from '../../model/media-type.js'
import { appendTo, create, receiveFrom } from '../../observe/span-attributes.js'
import type { RequestSpan } from '../../observe/traces.js'
import type { StreamQuery } from '../../schemas/finite.js'
import { cancelledPath, topicOf } from './access.js'
import { header } from './request-headers.js'

/** Returns the span of a live read. Other reads have no span, like pages of history. */
export function spanOfRead(app: FastifyInstance, request: FastifyRequest): RequestSpan | undefined {
  const { live } = request.query as StreamQuery
  if (live === undefined || request.method === 'HEAD') return undefined
  return {
    name: 'subscribe',
    attributes: () => {
      const topic = knownTopic(app, request)
      return receiveFrom(topic === undefined ? [] : [topic])
    },
  }
}

/** Returns the span of a creation or an append. */
export function spanOfWrite(app: FastifyInstance, request: FastifyRequest): RequestSpan | undefined {
  const { method, headers } = request
  if (method === 'PUT') return { name: 'create', attributes: () => create(knownTopic(app, request)) }
  if (method !== 'POST' || cancelledPath(app, request) !== undefined) return undefined
  const isUpload = header(headers, 'fanfare-upload') === 'live' || isLines(headers['content-type'] ?? '')
  return { name: isUpload ? 'append upload' : 'append', attributes: () => appendTo(knownTopic(app, request)) }
}

/** Returns the topic of a request; `undefined`: its path is not a topic. */
function knownTopic(app: FastifyInstance, request: FastifyRequest): string | undefined {
  try {
    return topicOf(app, request)
  } catch {
    return undefined
  }
}
