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
import headerLimits from './plugins/header-limits.js'
import hostHeader from './plugins/host-header.js'
import hub from './plugins/hub.js'
import limits from './plugins/limits.js'
import metrics, { type WorkerIdentity } from './plugins/metrics.js'
import { createMetricsServer } from './plugins/metrics-server.js'
import { kMetrics } from './plugins/metrics.js'
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
import { createServer, watchCertificate } from './plugins/own-server.js'
import pipelining from './plugins/pipelining.js'
import publicHub from './plugins/public-hub.js'
import query from './plugins/query.js'
import reference from './plugins/reference.js'
import { checks, preparation } from './plugins/request-steps.js'
import routeList from './plugins/route-list.js'
import slowRequests from './plugins/slow-requests.js'
import traces, { kTraces } from './plugins/traces.js'
import unreadAnswers from './plugins/unread-answers.js'
import connections from './routes/connections.js'
import cursors from './routes/cursors.js'
import errors from './routes/errors.js'
import metricsRoute from './routes/metrics.js'
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
import { checkPair, readPair, type TlsFiles } from './server/certificate.js'
import { describeNative, nativeSockets, type NativePaths } from './server/native.js'
import type { TrustProxy } from './settings.js'

export { hubOf, kRequestsAnswered } from './plugins/hub.js'
export type { WorkerIdentity } from './plugins/metrics.js'
export type { FanfareOptions } from './plugins/options.js'

/**
 * The hub as a plugin. It decorates the application with `hub`, and serves the hub's routes below `prefix`.
 * @throws SettingsError if an option is unknown or invalid, if there is no key, or if the scope already has a hub
 */
export const fanfare: FastifyPluginCallback<FanfareOptions> = fp<FanfareOptions & OwnOptions>(
  async (app, options) => {
    const checked = readOptions(app, options)
    const { settings, ownLog, ownCluster, prefix, ownsRoot, hasMetrics, worker } = checked
    warnOfShortParams(app)
    const sockets = nativeSockets(settings.nativeSockets)
    await app.register(hub, { ...settings, native: sockets.paths, ownLog, ownCluster })
    app.log.info(...describeNative(sockets, ownsRoot)) // after the hub is open: a failed start logs only its reason
    await app.register(metrics, { ...settings, hasOwnLog: ownLog !== undefined, isServed: hasMetrics, worker })
    await app.register(traces)
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

/** Hooks run in the order of registration: preparations before checks, checks before tokens. */
async function registerPlugins(scope: FastifyInstance, options: CheckedOptions, native: NativePaths): Promise<void> {
  const { settings, authenticate, ownsRoot, ownsFallback, bodyTimeout } = options
  await scope.register(encapsulation, { embedded: !ownsRoot })
  await scope.register(mount)
  await scope.register(pipelining)
  await scope.register(preparation)
  await scope.register(noStore)
  await scope.register(forwardedFor)
  await scope.register(eventStream, { ...settings, native })
  await scope.register(errorHandling, { handleNotFound: ownsFallback, traces: scope[kTraces] })
  await scope.register(cors, settings)
  await scope.register(checks)
  if (ownsRoot) await scope.register(headerLimits)
  if (ownsRoot) await scope.register(hostHeader)
  await scope.register(draining)
  await scope.register(slowRequests, { bodyTimeout })
  await scope.register(unreadAnswers, { ...settings, native })
  await scope.register(bodies, { bodyTimeout })
  await scope.register(auth, { ...settings, authenticate })
  await scope.register(query, settings)
  await scope.register(limits, settings)
  await scope.register(routeList)
}

async function registerRoutes(scope: FastifyInstance, options: CheckedOptions): Promise<void> {
  const { settings, hasConsole, hasMetrics, hasDocs, bodyTimeout } = options
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
  if (hasMetrics) await scope.register(metricsRoute, { read: scope[kMetrics] })
  if (hasConsole) await scope.register(webConsole)
  if (hasDocs) await scope.register(reference, settings)
}

/** The settings of the hub's own application. */
export type AppSettings = SettingsOptions & {
  trustProxy?: TrustProxy
  /** The files of the certificate for TLS. `undefined`: the hub speaks plain HTTP. */
  tls?: TlsFiles | undefined
  /** For tests. */
  timeouts?: RequestTimeouts
  /** For tests: the processes that serve the log of the option `log`. */
  cluster?: Cluster
  /** The process of a hub with `FANFARE_WORKERS`. */
  worker?: WorkerIdentity | undefined
}

/**
 * Builds the hub as an application of its own.
 * @throws SettingsError if an option is unknown or invalid, if there is no key, or if the certificate cannot be used
 */
export async function buildApp(
  { trustProxy = false, tls, timeouts = REQUEST_TIMEOUTS, cluster, worker, ...options }: AppSettings,
  logger: FastifyBaseLogger | false = false,
): Promise<FastifyInstance> {
  const { settings } = resolveOptions(options)
  const certificate = tls && checkPair(tls, await readPair(tls))
  const app = createServer({ settings, trustProxy, timeouts, logger, certificate })
  if (tls && certificate) watchCertificate(app, tls, certificate)
  const own = { ...options, ownsRoot: true, timeouts, cluster, worker }
  await app.register(fanfare as FastifyPluginCallback<FanfareOptions & OwnOptions>, own)
  return app
}

/** Builds the application of a port that serves only the metrics of a hub. */
export async function buildMetricsApp(app: FastifyInstance): Promise<FastifyInstance> {
  const server = createMetricsServer(app)
  await server.register(metricsRoute, { read: app[kMetrics] })
  return server
}
