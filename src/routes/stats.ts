/** The route for the statistics of the last hour. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authorizeAdmin } from '../auth/principal.js'
import { Problem } from '../errors.js'
import type { HubHistory } from '../hub/cluster/all-history.js'
import { PERIOD, PERIODS, type Figure } from '../hub/stats-history.js'
import { parseDuration } from '../model/units.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { hubOf } from '../plugins/hub.js'
import { StatsHistory, StatsQuery } from '../schemas/stats.js'
import { tokenRequired } from './request/token-required.js'

/** The action of this route in refusals, as it follows "To". */
const READ = 'read the statistics of the hub'
const MIN_RANGE = 60_000

const stats: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/stats',
    {
      onRequest: [app[kAuthenticate], tokenRequired(READ)],
      schema: { querystring: StatsQuery, response: { 200: StatsHistory } },
    },
    async (request) => {
      authorizeAdmin(requirePrincipal(request), READ)
      return inColumns(await hubOf(app).neighbours.history.read(readRange(request.query.range)))
    },
  )
}

export default stats

/** @throws Problem `invalid-request` */
function readRange(text = '1h'): number {
  const range = parseDuration(text) ?? NaN
  if (range >= MIN_RANGE && range <= PERIODS * PERIOD) return range
  throw new Problem('invalid-request', 'range must be a duration from 1m to 1h, such as 15m.')
}

function inColumns({ first, periods, nodes }: HubHistory): StatsHistory {
  const column = (figure: Figure) => periods.map((period) => period && rounded(period[figure]))
  return {
    from: new Date(first * PERIOD).toISOString(),
    interval: PERIOD / 1_000,
    connections: column('connections'),
    lagging: column('lagging'),
    topics: column('topics'),
    events: { in: column('eventsIn'), out: column('eventsOut') },
    bytes: { in: column('bytesIn'), out: column('bytesOut') },
    latency: { p50: column('p50'), p99: column('p99') },
    memory: column('memory'),
    log: { events: column('logEvents'), bytes: column('logBytes') },
    eventLoopDelay: column('eventLoopDelay'),
    ...(nodes > 1 && { nodes }),
  }
}

/** Returns a number with three decimals, the precision of latencies. */
function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
