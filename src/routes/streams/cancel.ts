/** Cancels finite topics. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isGranted } from '../../auth/principal.js'
import type { EventTopic } from '../../model/topic.js'
import { requirePrincipal } from '../../plugins/auth.js'
import type { CancelledStream } from '../../schemas/finite.js'
import { requireGrant } from './access.js'
import { stateHeaders } from './answer-headers.js'
import { requireState, type StreamsContext } from './context.js'

/** Answers `POST /streams/{path}/cancel`. The bearer needs a `publish` grant, or has created the topic. */
export async function answerCancel(
  context: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await requireCanceller(context, topic, request) // again: the token may have ended while the body came
  await requireState(context, topic)
  const state = await context.finite.cancel(topic)
  const { subject } = requirePrincipal(request)
  request.log.info({ topic, status: state.status, subject }, 'finite topic cancelled')
  const body = { topic, status: state.status } satisfies CancelledStream
  return reply.headers(stateHeaders(state)).send(body)
}

/**
 * Checks that the bearer may cancel a topic.
 * @throws Problem `not-granted`, `missing-token` for any other bearer, whether or not the topic exists
 */
export async function requireCanceller(
  { finite }: StreamsContext,
  topic: EventTopic,
  request: FastifyRequest,
): Promise<void> {
  if (isGranted(requirePrincipal(request), 'publish', topic)) return
  const { subject } = requirePrincipal(request)
  const state = subject === undefined ? undefined : await finite.get(topic)
  if (state === undefined || state.createdBy !== requirePrincipal(request).subject)
    requireGrant(request, 'publish', topic)
}
