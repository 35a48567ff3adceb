/** An `onRequest` hook for routes that need a token whatever it grants: it runs before the body is read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { requireToken } from '../auth/principal.js'
import { requirePrincipal } from '../plugins/auth.js'

/** @param what the thing that needs it, as it stands after "To" in the refusal */
export function tokenRequired(what: string) {
  return (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
    requireToken(requirePrincipal(request), what)
    done()
  }
}
