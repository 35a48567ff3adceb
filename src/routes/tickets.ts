/** The route that exchanges a token for a ticket, which may be sent in a URL. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem } from '../errors.js'
import { kAuthenticate, kTickets, requirePrincipal, requireTokenSearch } from '../plugins/auth.js'
import { TicketReceipt } from '../schemas/access.js'

const tickets: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/tickets',
    { onRequest: app[kAuthenticate], schema: { response: { 201: TicketReceipt } } },
    async (request, reply) => {
      const { source } = requireTokenSearch(request)
      if (source !== 'header' && source !== 'cookie' && source !== 'application')
        throw new Problem(
          'missing-token',
          'To get a ticket, send a token in the header "Authorization: Bearer …" or in the cookie.',
        )
      const { ticket, expiresAt } = await app[kTickets].issue(requirePrincipal(request))
      reply.code(201)
      return { ticket, expiresAt: new Date(expiresAt).toISOString() }
    },
  )
}

export default tickets
