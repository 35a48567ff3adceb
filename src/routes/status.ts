/**
 * How the hub is: for people, and for what decides where requests go. Probes may add a query against caches, such as
 * `?_=123`.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem } from '../errors.js'
import { Health, Status } from '../schemas/status.js'
import { version } from '../version.js'

const status: FastifyPluginAsyncTypebox = async (app) => {
  const started = performance.now()

  app.get('/status', { config: { anyQuery: true }, schema: { response: { 200: Status } } }, async () => ({
    status: 'ok' as const,
    clients: app.fanfareHub.connections.size,
    topics: app.fanfareHub.stats().topics,
    uptime: Math.round(performance.now() - started) / 1_000,
    version,
  }))

  app.get('/health/live', { config: { anyQuery: true }, schema: { response: { 200: Health } } }, async () => ({
    status: 'ok' as const,
  }))

  app.get('/health/ready', { config: { anyQuery: true }, schema: { response: { 200: Health } } }, async () => {
    if (app.fanfareHub.draining) throw new Problem('draining', 'The hub is about to stop.')
    if (app.fanfareHub.failure)
      throw new Problem(
        'log-unavailable',
        'Nothing can be stored at the moment: the disk is full, or cannot be written.',
        {},
        { cause: app.fanfareHub.failure },
      )
    return { status: 'ok' as const }
  })
}

export default status
