/** Serves a hub in this process: builds the application, listens, and closes gracefully. */
import { rmSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { buildApp, buildMetricsApp, hubOf, kRequestsAnswered, type WorkerIdentity } from '../app.js'
import { monotonicNow } from '../model/clock.js'
import { DEFAULT_HOST, socketPathOf } from '../server/listen-address.js'
import type { ProcessSettings } from '../settings.js'
import { watchDescriptors } from './descriptors.js'
import { listen, type Address } from './listen.js'
import { disablePretenuring } from './memory.js'
import type { Stop } from './stop.js'

/** How long the hub may take to close after its streams have ended, in milliseconds. */
export const CLOSE_GRACE = 5_000

/**
 * How long requests may wait for the log or another process once the streams have ended, in milliseconds. A frozen
 * process must not keep this one from ending.
 */
const WAIT_AT_CLOSE = 2_000

/** The parts that a hub needs to start. */
export interface HubStart {
  settings: ProcessSettings
  logger: Logger
  stop: Stop
  /** The secret for development, if no key is set. */
  secret: string | undefined
}

/**
 * Serves a hub until `stop` ends the process.
 * @param worker the identity of a worker, which shares its socket with other workers
 * @returns its address; `undefined` if a signal ends the process before it listens
 * @throws SettingsError, StoreError
 */
export async function serve(
  { settings, logger, stop, secret }: HubStart,
  worker?: WorkerIdentity,
): Promise<Address | undefined> {
  disablePretenuring()
  const { host, port, tls, trustProxy, hub, metricsPort } = settings
  const sharesSocket = worker !== undefined
  const metrics = hub.metrics && metricsPort === undefined
  const key = secret === undefined ? {} : { jwtSecret: secret }
  const app = await buildApp({ ...hub, ...key, metrics, trustProxy, tls, worker }, logger)
  let metricsApp: FastifyInstance | undefined
  let address: Address | undefined

  stop.endBy({
    delay: hub.drain + CLOSE_GRACE,
    logger,
    async close({ err, signal }) {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal, streams: app.hub.connections.size }, 'stopping')
      await drain(app, err ? 0 : hub.drain)
      await close(app, metricsApp)
    },
    async halt() {
      // a closed server has removed its socket, but the server may still be open here
      if (address?.socketPath !== undefined && !sharesSocket) rmSync(address.socketPath, { force: true })
      await app.hub.halt()
    },
  })
  if (stop.hasSignal()) return undefined

  try {
    metricsApp = await listenForMetrics(app, settings)
    address = await listen(app, host, port, sharesSocket)
  } catch (err) {
    if (stop.hasSignal()) return undefined // the application is being closed
    await close(app, metricsApp)
    throw err
  }
  watchDescriptors(logger)
  return address
}

/**
 * Opens the port of the metrics, if there is one.
 * @throws SettingsError
 */
async function listenForMetrics(
  app: FastifyInstance,
  { host, metricsPort, metricsHost = socketPathOf(host) === undefined ? host : DEFAULT_HOST }: ProcessSettings,
): Promise<FastifyInstance | undefined> {
  if (metricsPort === undefined) return undefined
  const metricsApp = await buildMetricsApp(app)
  const names = { host: 'FANFARE_METRICS_HOST', port: 'FANFARE_METRICS_PORT' }
  const { url } = await listen(metricsApp, metricsHost, metricsPort, false, names)
  app.log.info({ metrics: `${url}/metrics` }, `serving metrics at ${url}/metrics`)
  return metricsApp
}

/** Closes the ports of a hub, and its log. */
async function close(app: FastifyInstance, metricsApp: FastifyInstance | undefined): Promise<void> {
  const timer = setTimeout(() => void hubOf(app).refuseWaiting(), WAIT_AT_CLOSE)
  await app.close()
  await metricsApp?.close()
  clearTimeout(timer)
}

/**
 * Ends the streams, then waits for requests in flight with the port open. Both together take at most `time`
 * milliseconds.
 */
async function drain(app: FastifyInstance, time: number): Promise<void> {
  const deadline = monotonicNow() + time
  await app.hub.drain(time)
  await app[kRequestsAnswered](deadline - monotonicNow())
}
