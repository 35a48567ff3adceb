/** Publishing: one event, a batch, or a stream of them. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { authorize, authorizeSome } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import { requireTopic } from '../model/topic.js'
import { requirePrincipal } from '../plugins/auth.js'
import { PlainText } from '../plugins/bodies.js'
import { TopicParams } from '../schemas/common.js'
import { BatchBody, BatchReceipt, EventBody, PublishQuery, Receipt, StreamReceipt } from '../schemas/event.js'
import type { Static } from '../schemas/typebox.js'
import { compileExceptBody, compileShape, requireShape, type Shape } from '../schemas/validation.js'
import { readBatch } from './batch.js'
import { IncomingEvents, sentLimit } from './incoming-events.js'
import { publishLines, type UploadLimits } from './ndjson.js'

/** As many bytes as so many events of the greatest size may the body of a batch have; what is larger is for NDJSON. */
const BATCH_BODY = 64

/** The header whose value means the same as an event's `id`. */
const KEY = 'idempotency-key'

const eventShape: Shape<EventBody> = compileShape(EventBody)

const publish: FastifyPluginAsyncTypebox<UploadLimits> = async (app, { maxEventSize, uploadIdle }) => {
  const limits = { maxEventSize, uploadIdle }

  app.post(
    '/topics/:topic/events',
    {
      onRequest: [app.authenticate, refuseOtherTopics, ...app.limitPublishing],
      config: { publishes: 'event' },
      bodyLimit: sentLimit(maxEventSize),
      validatorCompiler: compileExceptBody,
      schema: {
        params: TopicParams,
        querystring: PublishQuery,
        body: { content: { 'application/json': { schema: EventBody } } },
        response: { 200: Receipt, 201: Receipt, 202: Receipt },
      },
    },
    async (request, reply) => {
      const event = withKey(eventOf(request.body, request.query.type), request)
      const receipt = await app.fanfareHub.publish(request.params.topic, event)
      reply.code(receipt.id === null ? 202 : receipt.duplicate ? 200 : 201)
      return receipt
    },
  )

  app.post(
    '/events',
    {
      onRequest: [app.authenticate, refuseWithoutGrant, refuseKey, ...app.limitPublishing],
      config: { publishes: 'events' },
      bodyLimit: maxEventSize * BATCH_BODY,
      validatorCompiler: compileExceptBody,
      schema: {
        body: { content: { 'application/json': { schema: BatchBody } } },
        response: { 200: StreamReceipt, 201: BatchReceipt },
      },
    },
    (request, reply) => publishMany(app.fanfareHub, request, reply, limits),
  )
}

export default publish

/** Publishes a batch, or the lines of an upload as they come. */
async function publishMany(
  hub: Hub,
  request: FastifyRequest,
  reply: FastifyReply,
  limits: UploadLimits,
): Promise<StreamReceipt | BatchReceipt> {
  const { body } = request
  const publisher = () => requirePrincipal(request)
  if (body instanceof Readable) return publishLines(hub, publisher, body, limits)
  if (!Buffer.isBuffer(body))
    throw new Problem(
      'unsupported-media-type',
      'There is no body: events are sent as application/json or application/x-ndjson.',
    )
  const events = await readBatch(body, new IncomingEvents(hub, publisher, limits.maxEventSize, 'event'))
  publisher() // reading the events took its time
  const receipts = await hub.publishChecked(events)
  reply.code(201)
  return { events: receipts }
}

/** An `onRequest` hook: a topic that the token does not grant is refused before the body is read. */
function refuseOtherTopics(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  const { topic } = request.params as Static<typeof TopicParams>
  requireTopic(topic)
  authorize(requirePrincipal(request), 'publish', [topic])
  done()
}

/** An `onRequest` hook: a token that grants no topic at all is refused before the body is read. */
function refuseWithoutGrant(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  authorizeSome(requirePrincipal(request), 'publish')
  done()
}

/** An `onRequest` hook: ignored, the header would have an upload that is sent again stored twice. */
function refuseKey({ headers }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (headers[KEY] !== undefined)
    throw new Problem(
      'invalid-request',
      'The header "Idempotency-Key" is for one event: each event of a batch and each line of NDJSON has an "id" of its own.',
    )
  done()
}

function eventOf(body: unknown, type: string | undefined): EventBody {
  if (body === undefined)
    throw new Problem('unsupported-media-type', 'There is no body: an event is sent as application/json or text/plain.')
  if (body instanceof PlainText) return type === undefined ? { text: body.text } : { text: body.text, type }
  if (type !== undefined)
    throw new Problem(
      'invalid-request',
      'The query parameter "type" is for text/plain: in JSON the event has its "type" beside its data.',
    )
  requireShape(eventShape, body, 'body', '', 'invalid-request')
  return body
}

/**
 * Gives an event the publisher's id of the header `Idempotency-Key`. Others are left as they are: V8 takes long to copy
 * them.
 */
function withKey(event: EventBody, request: FastifyRequest): EventBody {
  const id = keyOf(request)
  if (id === undefined) return event
  if (event.id !== undefined && event.id !== id) {
    throw new Problem(
      'conflicting-ids',
      'The event has an "id", and the header "Idempotency-Key" says another: send one of them, or both the same.',
    )
  }
  return { ...event, id }
}

/** Returns the header `Idempotency-Key`. Node joins the values of several headers of one name, so these are counted. */
function keyOf({ headers, raw }: FastifyRequest): string | undefined {
  const key = headers[KEY]
  if (key === undefined) return undefined
  const count = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === KEY).length
  if (count > 1)
    throw new Problem('invalid-request', 'The header "Idempotency-Key" is given more than once, and takes one value.')
  return String(key)
}
