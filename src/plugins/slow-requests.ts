/**
 * A request that has been answered before its body had come, because it was refused: the rest is read and dropped, so that the
 * client gets the answer and can use the connection again. This waits for that, but not for ever.
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

export default fp<{ patience: number }>(async (app, { patience }) => {
  app.addHook('onResponse', async ({ raw }: FastifyRequest) => {
    if (raw.complete || raw.destroyed) return
    const timer = setTimeout(() => raw.destroy(), patience).unref()
    raw.once('close', () => clearTimeout(timer))
  })
}, { name: 'fanfare-slow-requests', fastify: '5.x' })
