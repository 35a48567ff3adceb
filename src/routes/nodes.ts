/** The route for the processes of the hub. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorizeAdmin } from '../auth/principal.js'
import type { KnownNode } from '../hub/cluster/node-reports.js'
import { rfc3339 } from '../hub/stream-info.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { hubOf } from '../plugins/hub.js'
import { Nodes, type Node } from '../schemas/node.js'
import { tokenRequired } from './request/token-required.js'

/** The action of this route in refusals, as it follows "To". */
const LIST = 'list the processes of the hub'

const nodes: FastifyPluginAsyncTypebox = async (app) => {
  const hub = hubOf(app)

  app.get(
    '/nodes',
    { onRequest: [app[kAuthenticate], tokenRequired(LIST)], schema: { response: { 200: Nodes } } },
    async (request) => {
      authorizeAdmin(requirePrincipal(request), LIST)
      const known = await hub.neighbours.reports.all(true)
      const leader = hub.messenger.leader()
      const { epoch } = hub
      // the heads of another epoch belong to a log that has been replaced
      const heads = known.flatMap(({ report }) => (report?.epoch === epoch ? [report.head] : []))
      const newest = Math.max(0, ...heads)
      return known.map((node) => ({
        ...describe(node),
        lag: node.report?.epoch === epoch ? newest - node.report.head : null,
        ...(leader !== undefined && { leader: node.node === leader }),
      }))
    },
  )
}

function describe({ node, isReachable, report }: KnownNode): Omit<Node, 'lag' | 'leader'> {
  const load = report?.load
  return {
    node,
    version: report?.version ?? null,
    since: rfc3339(report?.since),
    connections: report?.connections ?? null,
    unreachable: !isReachable,
    lagging: load?.lagging ?? null,
    topics: load?.topics ?? null,
    published: load?.published ?? null,
    sent: load?.sent ?? null,
    memory: load?.memory ?? null,
    eventLoopDelay: load?.stats?.eventLoopDelay ?? null,
    time: rfc3339(load?.time),
  }
}

export default nodes
