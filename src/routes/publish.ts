/** The routes that publish one event, a batch, or an NDJSON upload. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { authorize, authorizeSome } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import type { CheckedEvent } from '../model/event.js'
import { isLines } from '../model/media-type.js'
import { requireTopic, type EventTopic } from '../model/topic.js'
import type { TraceContext } from '../model/trace-context.js'
import { countOf, describeReceipt, sendTo } from '../observe/span-attributes.js'
import type { RequestSpan } from '../observe/traces.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { PlainText } from '../plugins/bodies.js'
import { hubOf } from '../plugins/hub.js'
import { kLimitPublishing } from '../plugins/limits.js'
import { kTraces } from '../plugins/traces.js'
import { TopicParams } from '../schemas/common.js'
import { BatchBody, BatchReceipt, EventBody, PublishQuery, Receipt, StreamReceipt } from '../schemas/event.js'
import type { Static } from '../schemas/typebox.js'
import { compileExceptBody, compileShape, requireShape, type Shape } from '../schemas/validation.js'
import { readBatch } from './upload/batch.js'
import { IncomingEvents, sentLimit } from './upload/incoming-events.js'
import { publishLines, type UploadLimits } from './upload/ndjson.js'

/** The maximum size of a batch, as a multiple of the maximum size of an event. Larger uploads use NDJSON. */
const BATCH_BODY = 64

/** The header that replaces the member `id` of an event. */
const KEY = 'idempotency-key'

const eventShape: Shape<EventBody> = compileShape(EventBody)

const publish: FastifyPluginAsyncTypebox<UploadLimits> = async (app, { maxEventSize, uploadIdle }) => {
  const limits = { maxEventSize, uploadIdle }

  app.post(
    '/topics/:topic/events',
    {
      onRequest: [app[kAuthenticate], refuseOtherTopics, ...app[kLimitPublishing]],
      config: { publishes: 'event', span: spanOfEvent },
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
      const receipt = await publishOne(app, request, request.params.topic, request.query.type)
      reply.code(receipt.id === null ? 202 : receipt.duplicate ? 200 : 201)
      return receipt
    },
  )

  app.post(
    '/events',
    {
      onRequest: [app[kAuthenticate], refuseWithoutGrant, refuseKey, ...app[kLimitPublishing]],
      config: { publishes: 'events', span: spanOfEvents },
      bodyLimit: maxEventSize * BATCH_BODY,
      validatorCompiler: compileExceptBody,
      schema: {
        body: { content: { 'application/json': { schema: BatchBody } } },
        response: { 200: StreamReceipt, 201: BatchReceipt },
      },
    },
    (request, reply) => publishMany(app, request, reply, limits),
  )
}

export default publish

function spanOfEvent({ params }: FastifyRequest): RequestSpan {
  return { name: 'publish', attributes: () => sendTo((params as Partial<Static<typeof TopicParams>>).topic) }
}

function spanOfEvents({ headers }: FastifyRequest): RequestSpan {
  return { name: isLines(headers['content-type'] ?? '') ? 'publish upload' : 'publish batch', attributes: sendTo }
}

/** Publishes one event. Not an async function: one more `await` would slow each publish down. */
function publishOne(
  app: FastifyInstance,
  request: FastifyRequest,
  topic: string,
  type: string | undefined,
): ReturnType<Hub['publisher']['publishOne']> {
  const hub = hubOf(app)
  const trace = app[kTraces].begin('publish', request.headers, () => sendTo(topic))
  const publish = () => hub.publisher.publishOne(checkBody(hub, request, type, trace?.context))
  return trace ? trace.run(publish, describeReceipt) : publish()
}

/** Publishes a batch, or the lines of an upload as they arrive. */
async function publishMany(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  limits: UploadLimits,
): Promise<StreamReceipt | BatchReceipt> {
  const { body, headers } = request
  const { [kTraces]: traces } = app
  const hub = hubOf(app)
  const publisher = () => requirePrincipal(request)
  if (body instanceof Readable) {
    const trace = traces.begin('publish upload', headers, sendTo)
    const publishAll = () => publishLines(hub, publisher, body, limits, trace?.context)
    return trace ? trace.run(publishAll, ({ accepted }) => countOf(accepted)) : publishAll()
  }
  if (!Buffer.isBuffer(body))
    throw new Problem(
      'unsupported-media-type',
      'The request has no body: send events as application/json or application/x-ndjson.',
    )
  const trace = traces.begin('publish batch', headers, sendTo)
  const publishAll = async () => {
    const incoming = new IncomingEvents(hub, publisher, limits.maxEventSize, 'event', trace?.context)
    const events = await readBatch(body, incoming)
    publisher() // the token may have expired while the events were read
    return hub.publisher.publishChecked(events)
  }
  const receipts = await (trace ? trace.run(publishAll, ({ length }) => countOf(length)) : publishAll())
  reply.code(201)
  return { events: receipts }
}

/** An `onRequest` hook that refuses a topic without a grant before the body is read. */
function refuseOtherTopics(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  const { topic } = request.params as Static<typeof TopicParams>
  requireTopic(topic)
  authorize(requirePrincipal(request), 'publish', [topic])
  done()
}

/** An `onRequest` hook that refuses a token without any `publish` grant before the body is read. */
function refuseWithoutGrant(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  authorizeSome(requirePrincipal(request), 'publish')
  done()
}

/** An `onRequest` hook that refuses `Idempotency-Key`. If it were ignored, a retried upload would be stored twice. */
function refuseKey({ headers }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (headers[KEY] !== undefined)
    throw new Problem(
      'invalid-request',
      'The header "Idempotency-Key" is for one event: give each event of a batch and each line of NDJSON its own "id".',
    )
  done()
}

/**
 * Checks the body of a request that publishes one event. The hub checks the event; the schema only describes the faults
 * of an event that the hub refuses.
 * @param type the query parameter `type`
 * @param trace the trace that the request belongs to
 * @throws Problem, HubError
 */
function checkBody(
  hub: Hub,
  request: FastifyRequest,
  type: string | undefined,
  trace: TraceContext | undefined,
): CheckedEvent {
  const { topic } = request.params as { topic: EventTopic } // checked by `refuseOtherTopics`
  const event = eventOf(request.body, type)
  let refusal: unknown
  if (isWithoutTopic(event)) {
    try {
      return hub.publisher.check(topic, withKey(event, request), trace)
    } catch (err) {
      refusal = err
    }
  }
  requireShape(eventShape, event, 'body', '', 'invalid-request')
  throw refusal
}

/** Whether a value is an object without `topic`. In an event, the hub accepts this member, and this route does not. */
function isWithoutTopic(event: unknown): event is EventBody {
  return typeof event === 'object' && event !== null && !('topic' in event)
}

/** Returns the event of a body, unchecked. */
function eventOf(body: unknown, type: string | undefined): unknown {
  if (body === undefined)
    throw new Problem(
      'unsupported-media-type',
      'The request has no body: send an event as application/json or text/plain.',
    )
  if (body instanceof PlainText) return type === undefined ? { text: body.text } : { text: body.text, type }
  if (type !== undefined)
    throw new Problem(
      'invalid-request',
      'The query parameter "type" is for text/plain: in a JSON body, "type" is a member of the event.',
    )
  return body
}

/**
 * Adds the id from `Idempotency-Key` to an event. Without the header, returns the event itself, since a copy is slow in
 * V8.
 */
function withKey(event: EventBody, request: FastifyRequest): EventBody {
  const id = keyOf(request)
  if (id === undefined) return event
  if (event.id !== undefined && event.id !== id) {
    throw new Problem(
      'conflicting-ids',
      'The "id" of the event and the header "Idempotency-Key" differ: send one of them, or the same id in both.',
    )
  }
  return { ...event, id }
}

/** Returns the header `Idempotency-Key`. Refuses a repeated header, which Node would join into one value. */
function keyOf({ headers, raw }: FastifyRequest): string | undefined {
  const key = headers[KEY]
  if (key === undefined) return undefined
  const count = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === KEY).length
  if (count > 1)
    throw new Problem(
      'invalid-request',
      'The header "Idempotency-Key" is given more than once, but it takes one value.',
    )
  return String(key)
}
