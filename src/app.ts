/** Composes the hub: as a plugin for Fastify applications, and as an application of its own. */
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import type { Cluster } from './cluster/cluster.js'
import auth from './plugins/auth.js'
import bodies from './plugins/bodies.js'
import clientScript from './plugins/client-script.js'
import webConsole from './plugins/console.js'
import cors from './plugins/cors.js'
import draining from './plugins/draining.js'
import encapsulation from './plugins/encapsulation.js'
import errorHandling from './plugins/errors.js'
import eventStream from './plugins/event-stream.js'
import forwardedFor from './plugins/forwarded-for.js'
import hostHeader from './plugins/host-header.js'
import hub from './plugins/hub.js'
import limits from './plugins/limits.js'
import mount, { warnOfShortParams } from './plugins/mount.js'
import noStore from './plugins/no-store.js'
import {
  readOptions,
  resolveOptions,
  type CheckedOptions,
  type FanfareOptions,
  type OwnOptions,
  type SettingsOptions,
} from './plugins/options.js'
import { createServer } from './plugins/own-server.js'
import pipelining from './plugins/pipelining.js'
import publicHub from './plugins/public-hub.js'
import query from './plugins/query.js'
import { checks, preparation } from './plugins/request-steps.js'
import slowRequests from './plugins/slow-requests.js'
import unreadAnswers from './plugins/unread-answers.js'
import connections from './routes/connections.js'
import cursors from './routes/cursors.js'
import errors from './routes/errors.js'
import nodes from './routes/nodes.js'
import presence from './routes/presence.js'
import publish from './routes/publish.js'
import revocations from './routes/revocations.js'
import sessions from './routes/sessions.js'
import stats from './routes/stats.js'
import status from './routes/status.js'
import streams from './routes/streams.js'
import subscribe from './routes/subscribe.js'
import tickets from './routes/tickets.js'
import topics from './routes/topics.js'
import { REQUEST_TIMEOUTS, type RequestTimeouts } from './server/body-timeout.js'
import { describeNative, nativeSockets, type NativePaths } from './server/native.js'
import type { TrustProxy } from './settings.js'

export type { FanfareOptions } from './plugins/options.js'

/**
 * The hub as a plugin. It decorates the application with `hub`, and serves the hub's routes below `prefix`.
 * @throws SettingsError if an option is unknown or invalid, if there is no key, or if the scope already has a hub
 */
export const fanfare: FastifyPluginCallback<FanfareOptions> = fp<FanfareOptions & OwnOptions>(
  async (app, options) => {
    const checked = readOptions(app, options)
    const { settings, ownLog, ownCluster, prefix, ownsRoot } = checked
    warnOfShortParams(app)
    const sockets = nativeSockets(settings.nativeSockets)
    await app.register(hub, { ...settings, native: sockets.paths, ownLog, ownCluster })
    app.log.info(...describeNative(sockets, ownsRoot)) // a start that fails logs only its reason
    await app.register(publicHub, settings)
    await app.register(
      async (scope) => {
        await registerPlugins(scope, checked, sockets.paths)
        await registerRoutes(scope, checked)
      },
      { prefix },
    )
  },
  { name: 'fanfare', fastify: '5.x' },
)

/** The order is that of the hooks: preparations before checks, checks before tokens. */
async function registerPlugins(scope: FastifyInstance, options: CheckedOptions, native: NativePaths): Promise<void> {
  const { settings, authenticate, ownsRoot, ownsFallback, bodyTimeout } = options
  await scope.register(encapsulation, { embedded: !ownsRoot })
  await scope.register(mount)
  await scope.register(pipelining)
  await scope.register(preparation)
  await scope.register(noStore)
  await scope.register(forwardedFor)
  await scope.register(eventStream, { ...settings, native })
  await scope.register(errorHandling, { handleNotFound: ownsFallback })
  await scope.register(cors, settings)
  await scope.register(checks)
  if (ownsRoot) await scope.register(hostHeader)
  await scope.register(draining)
  await scope.register(slowRequests, { bodyTimeout })
  await scope.register(unreadAnswers, { ...settings, native })
  await scope.register(bodies, { bodyTimeout })
  await scope.register(auth, { ...settings, authenticate })
  await scope.register(query, settings)
  await scope.register(limits, settings)
}

async function registerRoutes(scope: FastifyInstance, options: CheckedOptions): Promise<void> {
  const { settings, hasConsole, bodyTimeout } = options
  await scope.register(publish, settings)
  await scope.register(subscribe, settings)
  await scope.register(streams, { ...settings, bodyTimeout })
  await scope.register(connections)
  await scope.register(cursors)
  await scope.register(presence)
  await scope.register(sessions, settings)
  await scope.register(tickets)
  await scope.register(revocations)
  await scope.register(topics)
  await scope.register(status)
  await scope.register(nodes)
  await scope.register(stats)
  await scope.register(errors)
  await scope.register(clientScript)
  if (hasConsole) await scope.register(webConsole)
}

/** The settings of the hub's own application. */
export type AppSettings = SettingsOptions & {
  trustProxy?: TrustProxy
  /** For tests. */
  timeouts?: RequestTimeouts
  /** For tests: the processes that serve an own `log`. */
  cluster?: Cluster
}

/**
 * Builds the hub as an application of its own.
 * @throws SettingsError if an option is unknown or invalid, or if there is no key
 */
export async function buildApp(
  { trustProxy = false, timeouts = REQUEST_TIMEOUTS, cluster, ...options }: AppSettings,
  logger: FastifyBaseLogger | false = false,
): Promise<FastifyInstance> {
  const app = createServer({ settings: resolveOptions(options).settings, trustProxy, timeouts, logger })
  const own = { ...options, ownsRoot: true, timeouts, cluster }
  await app.register(fanfare as FastifyPluginCallback<FanfareOptions & OwnOptions>, own)
  return app
}
