/** The hub of an application. */
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { monotonicNow } from '../model/clock.js'
import { Hub } from '../hub/hub.js'
import type { EventLog } from '../log/log.js'
import { defaultRetainBytes, openLog, warnOfHeap } from '../log/open.js'
import type { NativePaths } from '../server/native.js'
import type { Settings } from '../settings.js'
import { LOOK_INTERVAL, watchConnections } from '../server/idle-connections.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** What the hub's own code works with; applications have `hub`. */
    fanfareHub: Hub
    /**
     * Resolves once the server has no request at work, or when the time is over.
     * @param time in milliseconds
     */
    fanfareRequestsAnswered: (time: number) => Promise<void>
  }
}

/** A server for HTTP/2, which an application may have, ends its idle sessions itself. */
function closeIdle(server: Partial<Pick<Server, 'closeIdleConnections'>>): void {
  server.closeIdleConnections?.()
}

interface Options extends Settings {
  native: NativePaths
  /** A log of the application's own, instead of the one that the settings name. */
  ownLog?: EventLog | undefined
}

export default fp<Options>(
  async (app, { native, ownLog, ...settings }) => {
    const log = ownLog ?? (await openEventLog(app, settings))
    const hub = await Hub.open(log, {
      heartbeat: settings.heartbeat,
      maxAge: settings.maxConnectionAge,
      maxEventSize: settings.maxEventSize,
      presenceGrace: settings.presenceGrace,
      maxCursorsPerSubject: settings.maxCursorsPerSubject,
      cursorTtl: settings.cursorTtl,
      onError: (err, message) => app.log.error({ err }, message),
    })
    app.decorate('fanfareHub', hub)
    const connections = watchConnections(app, native.idleConnections)
    app.decorate('fanfareRequestsAnswered', async (time: number) => {
      const deadline = monotonicNow() + time
      while (connections?.areRequestsAtWork() === true && monotonicNow() < deadline) await delay(LOOK_INTERVAL)
    })
    let closingIdle: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      hub.endStreams() // an open stream would keep the server from closing
      // and so would a connection whose last request is answered after the server has looked for idle ones
      closingIdle = setInterval(() => {
        closeIdle(app.server)
        connections?.end()
      }, LOOK_INTERVAL).unref()
    })
    app.addHook('onClose', async () => {
      clearInterval(closingIdle)
      await hub.close()
    })
  },
  { name: 'fanfare-hub', fastify: '5.x' },
)

/** Opens the log of events, and has the application's logger tell how it is. */
async function openEventLog(app: FastifyInstance, settings: Settings): Promise<EventLog> {
  const retainBytes = settings.retainBytes || defaultRetainBytes(settings.log)
  const warning = warnOfHeap(settings.log, retainBytes)
  if (warning !== undefined) app.log.warn(warning)
  return openLog(settings.log, {
    durability: settings.durability,
    retention: {
      events: settings.retainEvents,
      age: settings.retainAge,
      bytes: retainBytes,
      dedupWindow: settings.dedupWindow,
      topics: settings.maxTopics,
    },
    onDamage: (what) => app.log.error({ damaged: what }, 'the log is damaged: subscribers are told of a gap there'),
    onHealth: (err) =>
      err ? app.log.error({ err }, 'events cannot be stored') : app.log.info('events can be stored again'),
  })
}
