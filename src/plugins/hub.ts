/** The hub of an application. */
import fp from 'fastify-plugin'
import { Hub } from '../hub/hub.js'
import { openLog } from '../log/open.js'
import type { Settings } from '../settings.js'

declare module 'fastify' {
  interface FastifyInstance {
    hub: Hub
  }
}

export default fp<Settings>(async (app, settings) => {
  const log = await openLog(settings.log, {
    durability: settings.durability,
    retention: { events: settings.retainEvents, age: settings.retainAge, bytes: settings.retainBytes, dedupWindow: settings.dedupWindow },
    onHealth: (err) => (err ? app.log.error({ err }, 'events cannot be stored') : app.log.info('events can be stored again')),
  })
  const hub = new Hub(log, {
    heartbeat: settings.heartbeat,
    maxAge: settings.maxConnectionAge,
    maxEventSize: settings.maxEventSize,
    presenceGrace: settings.presenceGrace,
    onError: (err, message) => app.log.error({ err }, message),
  })
  app.decorate('hub', hub)
  app.addHook('preClose', async () => hub.endStreams()) // an open stream would keep the server from closing
  app.addHook('onClose', () => hub.close())
}, { name: 'fanfare-hub', fastify: '5.x' })
