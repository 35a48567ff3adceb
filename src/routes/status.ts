/**
 * The routes for the status and the health of the hub. They ignore the query, since some probes add one against caches,
 * such as `?_=123`.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem } from '../errors.js'
import { Health, Status } from '../schemas/status.js'
import { version } from '../model/version.js'
import { hubOf } from '../plugins/hub.js'

const status: FastifyPluginAsyncTypebox = async (app) => {
  const started = performance.now()

  app.get('/status', { config: { anyQuery: true }, schema: { response: { 200: Status } } }, async () => {
    const nodes = await hubOf(app).neighbours.reports.all(false)
    return {
      status: 'ok' as const,
      clients: nodes.reduce((sum, { report }) => sum + (report?.connections ?? 0), 0),
      topics: hubOf(app).stats().topics,
      uptime: Math.round(performance.now() - started) / 1_000,
      version,
      ...(nodes.length > 1 && { nodes: nodes.length }),
    }
  })

  app.get('/health/live', { config: { anyQuery: true }, schema: { response: { 200: Health } } }, async () => ({
    status: 'ok' as const,
  }))

  app.get('/health/ready', { config: { anyQuery: true }, schema: { response: { 200: Health } } }, async () => {
    if (hubOf(app).draining) throw new Problem('draining', 'The hub is stopping.')
    if (hubOf(app).failure)
      throw new Problem(
        'log-unavailable',
        'The log cannot store events at the moment. The reason is in the log lines of the hub.',
        {},
        { cause: hubOf(app).failure },
      )
    return { status: 'ok' as const }
  })
}

export default status
