/** Serves a hub in this process: builds the application, listens, and closes gracefully. */
import { rmSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { buildApp } from '../app.js'
import { monotonicNow } from '../model/clock.js'
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
 * @param sharesSocket whether this is a worker, which shares its socket with other workers
 * @returns its address; `undefined` if a signal ends the process before it listens
 * @throws SettingsError, StoreError
 */
export async function serve(
  { settings: { host, port, tls, trustProxy, hub }, logger, stop, secret }: HubStart,
  sharesSocket = false,
): Promise<Address | undefined> {
  disablePretenuring()
  const app = await buildApp(
    { ...hub, ...(secret === undefined ? {} : { jwtSecret: secret }), trustProxy, tls },
    logger,
  )
  let address: Address | undefined

  stop.endBy({
    delay: hub.drain + CLOSE_GRACE,
    logger,
    async close({ err, signal }) {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal, streams: app.hub.connections.size }, 'stopping')
      await drain(app, err ? 0 : hub.drain)
      const timer = setTimeout(() => void app.fanfareHub.refuseWaiting(), WAIT_AT_CLOSE)
      await app.close()
      clearTimeout(timer)
    },
    async halt() {
      // a closed server has removed its socket, but the server may still be open here
      if (address?.socketPath !== undefined && !sharesSocket) rmSync(address.socketPath, { force: true })
      await app.hub.halt()
    },
  })
  if (stop.hasSignal()) return undefined

  try {
    address = await listen(app, host, port, sharesSocket)
  } catch (err) {
    if (stop.hasSignal()) return undefined // the application is being closed
    await app.close()
    throw err
  }
  watchDescriptors(logger)
  return address
}

/**
 * Ends the streams, then waits for requests in flight with the port open. Both together take at most `time`
 * milliseconds.
 */
async function drain({ hub, fanfareRequestsAnswered }: FastifyInstance, time: number): Promise<void> {
  const deadline = monotonicNow() + time
  await hub.drain(time)
  await fanfareRequestsAnswered(deadline - monotonicNow())
}
