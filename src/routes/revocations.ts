/** Revocations: tokens that are refused before they end, and whose streams are ended. For admins. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { authorizeAdmin } from '../auth/principal.js'
import type { Revocation, Revoked } from '../auth/revocations.js'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { requirePrincipal } from '../plugins/auth.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { RevocationBody, RevocationList, Revocation as RevocationShape } from '../schemas/access.js'
import { Type } from '../schemas/typebox.js'
import { tokenRequired } from './token-required.js'

/** What these routes do, in the words of a refusal. */
const REVOKE = 'bar tokens, or see which are barred,'

const revocations: FastifyPluginAsyncTypebox = async (app) => {
  const known = app.revocations
  const hooks = { onRequest: [app.authenticate, tokenRequired(REVOKE)], preHandler: requireAdmin }

  app.post(
    '/revocations',
    { ...hooks, bodyLimit: SMALL_BODY, schema: { body: RevocationBody, response: { 201: RevocationShape } } },
    async (request, reply) => {
      const { until, ...members } = request.body
      const revocation = await known.add(revokedBy(members), readFuture(until))
      reply.code(201)
      return show(revocation)
    },
  )

  app.get('/revocations', { ...hooks, schema: { response: { 200: RevocationList } } }, async () => ({
    revocations: known.list().map(show),
  }))

  app.delete(
    '/revocations/:id',
    { ...hooks, schema: { params: Type.Object({ id: Type.String() }) } },
    async (request, reply) => {
      const { id } = request.params
      if (!(await known.delete(id)))
        throw new Problem('not-found', `There is no revocation ${quote(id)}, or no longer.`)
      return reply.code(204).send()
    },
  )
}

export default revocations

/** A `preHandler` hook: refuses a token that is not an admin's. */
async function requireAdmin(request: FastifyRequest): Promise<void> {
  authorizeAdmin(requirePrincipal(request), REVOKE)
}

function revokedBy({ subject, jti }: Omit<RevocationBody, 'until'>): Revoked {
  if (subject !== undefined && jti === undefined) return { subject }
  if (jti !== undefined && subject === undefined) return { jti }
  throw new Problem(
    'invalid-request',
    'What is revoked are the tokens of a subject, or the one with a jti: send exactly one of "subject" and "jti".',
  )
}

/** @throws Problem `invalid-request` when it is no moment (a leap second is none either), or not to come */
function readFuture(text: string): number {
  const time = Date.parse(text)
  if (time > Date.now()) return time
  throw new Problem(
    'invalid-request',
    `"until" has to be a time in the future, such as "2026-12-31T23:59:59Z"; ${quote(text)} is none.`,
    { errors: [{ path: '/until', message: 'is not a time in the future' }] },
  )
}

function show({ until, ...rest }: Revocation) {
  return { ...rest, until: new Date(until).toISOString() }
}
