/** Cancels finite topics. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isGranted } from '../../auth/principal.js'
import type { FiniteTopic } from '../../hub/finite/finite-topic.js'
import type { EventTopic } from '../../model/topic.js'
import { requirePrincipal } from '../../plugins/auth.js'
import type { CancelledStream } from '../../schemas/finite.js'
import { requireGrant } from './access.js'
import { stateHeaders } from './answer-headers.js'
import { requireExisting, type StreamsContext } from './context.js'

/** Answers `POST /streams/{path}/cancel`. The bearer needs a `publish` grant, or has created the topic. */
export async function answerCancel(
  context: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // checked again: while the body arrived, the token may have ended, or another subject may have created the topic anew
  const existing = await context.finite.get(topic)
  requireRight(request, topic, existing)
  requireExisting(topic, existing)
  const state = await context.finite.cancel(topic)
  const { subject } = requirePrincipal(request)
  request.log.info({ topic, status: state.status, subject }, 'finite topic cancelled')
  const body = { topic, status: state.status } satisfies CancelledStream
  return reply.headers(stateHeaders(state)).send(body)
}

/**
 * Checks that the bearer may cancel a topic. Reads the state of the topic only if the decision depends on it.
 * @throws Problem `not-granted`, `missing-token` for any other bearer, whether or not the topic exists
 */
export async function requireCanceller(
  { finite }: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
): Promise<void> {
  const principal = requirePrincipal(request)
  const isDecided = principal.subject === undefined || isGranted(principal, 'publish', topic)
  requireRight(request, topic, isDecided ? undefined : await finite.get(topic))
}

/**
 * Checks that the bearer has created a topic, or has a grant to publish to it.
 * @throws Problem `not-granted`, `missing-token`
 */
function requireRight(request: FastifyRequest, topic: EventTopic, state: FiniteTopic | undefined): void {
  const { subject } = requirePrincipal(request)
  if (subject === undefined || state?.createdBy !== subject) requireGrant(request, 'publish', topic)
}
