/** Publishing: one event, a batch, or a stream of them. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorize } from '../auth/principal.js'
import { Problem } from '../errors.js'
import { HubError } from '../hub/hub-error.js'
import { requireTopic } from '../hub/topic.js'
import { TopicParams } from '../schemas/common.js'
import { BatchBody, BatchReceipt, EventBody, PublishQuery, Receipt, StreamReceipt } from '../schemas/event.js'
import type { Settings } from '../settings.js'
import { publishLines } from './ndjson.js'

/** What a body may have beside the payload of its event. */
const ENVELOPE = 4 * 1024
/** As many bytes as so many events of the greatest size may the body of a batch have; what is larger is for NDJSON. */
const BATCH_BODY = 64

const publish: FastifyPluginAsyncTypebox<Pick<Settings, 'maxEventSize'> & { patience: number }> = async (app, { maxEventSize, patience }) => {
  const onRequest = [app.authenticate, ...app.limitPublishing]

  app.post('/topics/:topic/events', {
    onRequest,
    config: { publishes: true },
    bodyLimit: maxEventSize + ENVELOPE,
    schema: {
      params: TopicParams,
      querystring: PublishQuery,
      body: { content: { 'application/json': { schema: EventBody } } },
      response: { 200: Receipt, 201: Receipt, 202: Receipt },
    },
  }, async (request, reply) => {
    const { topic } = request.params
    requireTopic(topic)
    authorize(request.fanfarePrincipal!, 'publish', [topic])
    const body = request.body as EventBody | string | Readable | undefined
    if (body === undefined) throw new Problem('unsupported-media-type', 'There is no body: an event is sent as application/json or text/plain.')
    if (body instanceof Readable) throw new Problem('unsupported-media-type', 'Many events, one a line, are published with POST /events.')
    const event: EventBody = typeof body === 'string' ? { text: body, ...(request.query.type === undefined ? {} : { type: request.query.type }) } : body
    const receipt = await app.hub.publish(topic, { ...event, id: idOf(event, request.headers['idempotency-key']) })
    reply.code(receipt.id === null ? 202 : receipt.duplicate ? 200 : 201)
    return receipt
  })

  app.post('/events', {
    onRequest,
    config: { publishes: true },
    bodyLimit: maxEventSize * BATCH_BODY,
    schema: {
      body: { content: { 'application/json': { schema: BatchBody } } },
      response: { 200: StreamReceipt, 201: BatchReceipt },
    },
  }, async (request, reply) => {
    const principal = request.fanfarePrincipal!
    const body = request.body as BatchBody | string | Readable | undefined
    if (body === undefined) throw new Problem('unsupported-media-type', 'There is no body: events are sent as application/json or application/x-ndjson.')
    if (body instanceof Readable) return publishLines(app.hub, principal, body, maxEventSize, patience)
    if (typeof body === 'string') throw new Problem('unsupported-media-type', 'A plain text is published with POST /topics/{topic}/events.')
    if (request.headers['idempotency-key'] !== undefined) throw new Problem('invalid-request', 'The header "Idempotency-Key" is for one event; in a batch each has an "id" of its own.')
    body.events.forEach(({ topic }, index) => naming(index, () => {
      requireTopic(topic)
      authorize(principal, 'publish', [topic])
    }))
    const events = await app.hub.publishAll(body.events)
    reply.code(201)
    return { events }
  })
}

export default publish

/** Has a refusal name the event of a batch that it is about. */
function naming(index: number, check: () => void): void {
  try {
    check()
  } catch (err) {
    if (err instanceof HubError) err.index = index
    if (err instanceof Problem) throw new Problem(err.code, err.message, { ...err.extensions, errors: [{ path: `/events/${index}`, message: err.message }] })
    throw err
  }
}

/** The publisher's id of an event: its own, or the header `Idempotency-Key`, which means the same. */
function idOf(event: { id?: string }, key: string | string[] | undefined): string | undefined {
  const fromHeader = Array.isArray(key) ? key[0] : key
  if (event.id !== undefined && fromHeader !== undefined && event.id !== fromHeader) {
    throw new Problem('conflicting-ids', 'The event has an "id", and the header "Idempotency-Key" says another: send one of them, or both the same.')
  }
  return event.id ?? fromHeader
}
