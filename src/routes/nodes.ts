/** The route for the processes of the hub. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorizeAdmin } from '../auth/principal.js'
import { requirePrincipal } from '../plugins/auth.js'
import { Nodes } from '../schemas/node.js'
import { tokenRequired } from './request/token-required.js'

/** The action of this route in refusals, as it follows "To". */
const LIST = 'list the processes of the hub'

const nodes: FastifyPluginAsyncTypebox = async (app) => {
  const { fanfareHub: hub } = app

  app.get(
    '/nodes',
    { onRequest: [app.authenticate, tokenRequired(LIST)], schema: { response: { 200: Nodes } } },
    async (request) => {
      authorizeAdmin(requirePrincipal(request), LIST)
      const reports = await hub.nodes()
      const leader = hub.messenger.leader()
      const newest = Math.max(...reports.map(({ head }) => head))
      return reports.map(({ node, version, since, connections, head }) => ({
        node,
        version,
        since: new Date(since).toISOString(),
        connections,
        lag: newest - head,
        ...(leader !== undefined && { leader: node === leader }),
      }))
    },
  )
}

export default nodes
