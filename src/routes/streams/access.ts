/** Finds the topic of a request, and checks the grants of its token. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { authorize } from '../../auth/principal.js'
import { topicOfPath } from '../../model/stream-path.js'
import type { EventTopic } from '../../model/topic.js'
import { requirePrincipal } from '../../plugins/auth.js'
import { kPathBelow } from '../../plugins/mount.js'

/** The path of all finite topics. */
export const STREAMS = '/streams'
/** The last segment of the path that cancels a topic. */
export const CANCEL = 'cancel'

/** Returns the path of the request's topic, percent-encoded. */
function pathOfRequest(app: FastifyInstance, request: FastifyRequest): string {
  return app[kPathBelow](request, STREAMS)
}

/**
 * Returns the topic of a request.
 * @throws HubError `invalid-topic`, `reserved-topic`
 */
export function topicOf(app: FastifyInstance, request: FastifyRequest): EventTopic {
  return topicOfPath(pathOfRequest(app, request))
}

/** Returns the path of the topic that a POST cancels, percent-encoded; `undefined`: the request appends. */
export function cancelledPath(app: FastifyInstance, request: FastifyRequest): string | undefined {
  const path = pathOfRequest(app, request)
  return path.endsWith(`/${CANCEL}`) ? path.slice(0, -CANCEL.length - 1) : undefined
}

/**
 * Checks that the token of a request is in force and allows an action on a topic.
 * @throws Problem
 */
export function requireGrant(request: FastifyRequest, action: 'publish' | 'subscribe', topic: string): void {
  authorize(requirePrincipal(request), action, [topic])
}
