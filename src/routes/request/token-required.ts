/** Creates an `onRequest` hook for routes that need a token but no grant. The hook runs before the body is read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { requireToken } from '../../auth/principal.js'
import { requirePrincipal } from '../../plugins/auth.js'

/** @param what the action that needs a token, as it follows "To" in the refusal */
export function tokenRequired(what: string) {
  return (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
    requireToken(requirePrincipal(request), what)
    done()
  }
}
