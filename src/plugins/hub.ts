/** Opens the log and creates the hub of an application. */
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Cluster } from '../cluster/cluster.js'
import { monotonicNow } from '../model/clock.js'
import { Hub } from '../hub/hub.js'
import { natsServersOf } from '../log/address.js'
import type { TypedTopics } from '../hub/typed-topics/typed-topics.js'
import type { EventLog } from '../log/log.js'
import { defaultRetainBytes, openLog, warnOfHeap, type OpenedLog } from '../log/open.js'
import type { NatsOptions } from '../nats/nats-options.js'
import type { NativePaths } from '../server/native.js'
import { hubOptions, type Settings } from '../settings.js'
import { version } from '../model/version.js'
import { watchSessions, type Http2Sessions } from '../server/http2-sessions.js'
import { watchHandshakes } from '../server/handshakes.js'
import { CHECK_INTERVAL, watchConnections } from '../server/idle-connections.js'

const kHub = Symbol('fanfare.hub')
export const kTypedTopics = Symbol('fanfare.typedTopics')
export const kRequestsAnswered = Symbol('fanfare.requestsAnswered')
export const kHttp2Sessions = Symbol('fanfare.http2Sessions')

declare module 'fastify' {
  interface FastifyInstance {
    [kHub]: Hub
    /** The schemas of topics; `undefined`: no topic has a schema. */
    [kTypedTopics]: TypedTopics | undefined
    /**
     * Resolves when the server has answered all requests, or after a time.
     * @param time in milliseconds
     */
    [kRequestsAnswered]: (time: number) => Promise<void>
    /** The sessions of a server of HTTP/2; `undefined` for other servers. */
    [kHttp2Sessions]: Http2Sessions | undefined
  }
}

/** Returns the hub of an application, for the code of this package. Applications use `app.hub`. */
export function hubOf(app: FastifyInstance): Hub {
  return app[kHub]
}

/** Closes the idle connections of an HTTP/1 server. A server of HTTP/2 alone has no such method, and needs none. */
function closeIdle(server: Partial<Pick<Server, 'closeIdleConnections'>>): void {
  server.closeIdleConnections?.()
}

interface Options extends Settings {
  native: NativePaths
  /** A log of the application's own, instead of the one that the settings name. */
  ownLog?: EventLog | undefined
  /** The processes that serve `ownLog`; default: this process alone. */
  ownCluster?: Cluster | undefined
}

export default fp<Options>(
  async (app, { native, ownLog, ownCluster, ...settings }) => {
    const typedTopics = await openTypedTopics(settings.schemas)
    const { log, cluster } = ownLog ? { log: ownLog, cluster: ownCluster } : await openEventLog(app, settings)
    const hub = await Hub.open(log, {
      ...hubOptions(settings),
      version,
      typedTopics,
      ...(cluster && { cluster }),
      onError: (err, message) => app.log.error({ err }, message),
    })
    app.decorate(kHub, hub)
    app.decorate(kTypedTopics, typedTopics)
    const connections = watchConnections(app, native.idleConnections)
    const sessions = watchSessions(app.server, () => hub.draining)
    const handshakes = watchHandshakes(app.server)
    app.decorate(kHttp2Sessions, sessions)
    app.decorate(kRequestsAnswered, async (time: number) => {
      const deadline = monotonicNow() + time
      const areAtWork = () => connections?.areRequestsAtWork() === true || sessions?.areRequestsAtWork() === true
      while (areAtWork() && monotonicNow() < deadline) await delay(CHECK_INTERVAL)
    })
    let closingIdle: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      hub.endStreams() // an open stream would keep the server from closing
      sessions?.close()
      handshakes?.end()
      // Node closes idle connections once. A connection that becomes idle later would also keep the server open.
      closingIdle = setInterval(() => {
        closeIdle(app.server)
        connections?.end()
        handshakes?.end() // of connections that were accepted since then
      }, CHECK_INTERVAL).unref()
    })
    app.addHook('onClose', async () => {
      clearInterval(closingIdle)
      await hub.close()
    })
  },
  { name: 'fanfare-hub', fastify: '5.x' },
)

/**
 * Reads the file of schemas. The validator is loaded only if there is a file.
 * @throws SettingsError naming the fault of the file
 */
async function openTypedTopics(path: string | undefined): Promise<TypedTopics | undefined> {
  if (path === undefined) return undefined
  return (await import('../hub/typed-topics/typed-topics.js')).TypedTopics.open(path)
}

const LEADS = 'this process writes the log of the folder'
const FOLLOWS = 'another process writes the log of the folder, and this one reads it'

/** Opens the log of events, and joins the processes that serve it. Faults of the log go to the application's logger. */
async function openEventLog(app: FastifyInstance, settings: Settings): Promise<OpenedLog> {
  const nats = natsOptionsOf(settings)
  const retainBytes = settings.retainBytes || defaultRetainBytes(settings.log)
  const warning = warnOfHeap(settings.log, retainBytes)
  if (warning !== undefined) app.log.warn(warning)
  return openLog(settings, {
    onRole: (role) => app.log.info({ role }, role === 'leader' ? LEADS : FOLLOWS),
    onDamage: (what) => app.log.error({ damaged: what }, 'the log is damaged: subscribers get a gap there'),
    onHealth: (err) =>
      err ? app.log.error({ err }, 'events cannot be stored') : app.log.info('events can be stored again'),
    ...(nats && {
      nats: { nats, replicas: settings.natsReplicas, onNotice: (message: string) => app.log.warn(message) },
    }),
  })
}

/** Returns the options of the connection to NATS; `undefined`: the log is not on NATS. */
function natsOptionsOf(settings: Settings): NatsOptions | undefined {
  const servers = natsServersOf(settings.log)
  return (
    servers && {
      servers,
      prefix: settings.natsPrefix,
      timeout: settings.natsTimeout,
      tls: settings.natsTls,
      caFile: settings.natsCaFile,
      certFile: settings.natsCertFile,
      keyFile: settings.natsKeyFile,
      user: settings.natsUser,
      password: settings.natsPassword,
      nkey: settings.natsNkey,
      credentialsFile: settings.natsCredentialsFile,
    }
  )
}
