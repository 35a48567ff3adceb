/**
 * The route for the metrics. It needs no token, since Prometheus sends none by default, and ignores the query, since
 * agents add parameters. The metrics have neither topics nor subjects.
 */
import type { FastifyPluginAsync } from 'fastify'
import type { ReadMetrics } from '../plugins/metrics.js'
import { prefersOpenMetrics, varyByAccept } from '../server/negotiation.js'

const metrics: FastifyPluginAsync<{ read: ReadMetrics }> = async (app, { read }) => {
  app.get('/metrics', { config: { anyQuery: true } }, async (request, reply) => {
    const { type, text } = await read(prefersOpenMetrics(request) ? 'openmetrics' : 'text')
    varyByAccept(reply)
    return reply.type(type).send(text)
  })
}

export default metrics
