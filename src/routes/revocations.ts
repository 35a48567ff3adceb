/** The routes for revocations, for admins: a revocation refuses tokens before they expire, and ends their streams. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { authorizeAdmin } from '../auth/principal.js'
import type { Revocation, Revoked } from '../auth/revocations.js'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { kAuthenticate, kRevocations, requirePrincipal } from '../plugins/auth.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { RevocationBody, RevocationList, Revocation as RevocationShape } from '../schemas/access.js'
import { parameter, values } from '../schemas/parameters.js'
import { Type } from '../schemas/typebox.js'
import { tokenRequired } from './request/token-required.js'

/** The action of these routes in refusals, as it follows "To". */
const REVOKE = 'revoke tokens or list revocations'

const revocations: FastifyPluginAsyncTypebox = async (app) => {
  const known = app[kRevocations]
  const hooks = { onRequest: [app[kAuthenticate], tokenRequired(REVOKE)], preHandler: requireAdmin }

  app.post(
    '/revocations',
    { ...hooks, bodyLimit: SMALL_BODY, schema: { body: RevocationBody, response: { 201: RevocationShape } } },
    async (request, reply) => {
      const { until, ...members } = request.body
      const revocation = await known.add(revokedBy(members), readFuture(until))
      reply.code(201)
      return print(revocation)
    },
  )

  app.get('/revocations', { ...hooks, schema: { response: { 200: RevocationList } } }, async () => ({
    revocations: known.list().map(print),
  }))

  app.delete(
    '/revocations/:id',
    { ...hooks, schema: { params: Type.Object({ id: parameter('the id of the revocation', values.nonEmpty) }) } },
    async (request, reply) => {
      const { id } = request.params
      if (!(await known.delete(id)))
        throw new Problem('not-found', `There is no revocation ${quote(id)}: it has ended, or never existed.`)
      return reply.code(204).send()
    },
  )
}

export default revocations

/** A `preHandler` hook that refuses principals other than admins. */
async function requireAdmin(request: FastifyRequest): Promise<void> {
  authorizeAdmin(requirePrincipal(request), REVOKE)
}

function revokedBy({ subject, jti }: Omit<RevocationBody, 'until'>): Revoked {
  if (subject !== undefined && jti === undefined) return { subject }
  if (jti !== undefined && subject === undefined) return { jti }
  throw new Problem(
    'invalid-request',
    'Send exactly one of "subject" (revokes all tokens of a subject) and "jti" (revokes one token).',
  )
}

/** @throws Problem `invalid-request` for a time that is invalid, a leap second, or not in the future */
function readFuture(text: string): number {
  const time = Date.parse(text)
  if (time > Date.now()) return time
  throw new Problem(
    'invalid-request',
    `"until" must be a time in the future, such as "2026-12-31T23:59:59Z", not ${quote(text)}.`,
    { errors: [{ path: '/until', message: 'is not a time in the future' }] },
  )
}

function print({ until, ...rest }: Revocation) {
  return { ...rest, until: new Date(until).toISOString() }
}
