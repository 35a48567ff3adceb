/** `fanfare start`: reads the settings, builds the application, listens, and closes gracefully. */
import { rmSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { buildApp } from '../app.js'
import { developmentKey, devBanner, SECRET_FILE, type DevelopmentKey } from './dev-banner.js'
import { monotonicNow } from '../model/clock.js'
import { folderOf } from '../log/address.js'
import { createLogger } from '../server/logger.js'
import { SettingsError } from '../model/settings-error.js'
import { loadSettings, type Settings } from '../settings.js'
import type { Process } from './command.js'
import { warnOfDescriptorLimit, watchDescriptors } from './descriptors.js'
import { listen, type Address } from './listen.js'
import { keepYoungObjectsYoung } from './memory.js'
import type { Stop } from './stop.js'

/** How long the hub may take to close after its streams have ended, in milliseconds. */
const CLOSE_GRACE = 5_000

/** Starts a hub, which runs until `stop` ends it. */
export async function start({ env, stdout, stderr }: Process, stop: Stop): Promise<void> {
  keepYoungObjectsYoung()
  const { host, port, logLevel, trustProxy, hub } = loadSettings(env)
  const key = hasKey(hub) ? undefined : keyForDevelopment(env, hub)
  const terminal = stdout.isTTY ?? false
  const logger = createLogger(logLevel, terminal)
  if (stop.hasSignal()) {
    logger.info('stopped by a signal before the hub was opened')
    return
  }
  const app = await buildApp({ ...hub, ...(key ? { jwtSecret: key.secret } : {}), trustProxy }, logger)
  let address: Address | undefined

  stop.endBy({
    delay: hub.drain + CLOSE_GRACE,
    logger,
    async close({ err, signal }) {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal, streams: app.hub.connections.size }, 'stopping')
      await drain(app, err ? 0 : hub.drain)
      await app.close()
    },
    async halt() {
      // a closed server has removed its socket, but the server may still be open here
      if (address?.socketPath !== undefined) rmSync(address.socketPath, { force: true })
      await app.hub.halt()
    },
  })
  if (stop.hasSignal()) return

  try {
    address = await listen(app, host, port)
  } catch (err) {
    if (stop.hasSignal()) return // the application is being closed
    await app.close()
    throw err
  }
  warnOfDescriptorLimit(hub.maxConnections, logger)
  watchDescriptors(logger)
  logger.info({ address: address.text }, `listening on ${address.text}`)
  if (key) printBanner(key, devBanner(address, key, hub.console), logger, { isTerminal: terminal, stdout, stderr })
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

function hasKey({ jwtSecret, jwtPublicKey, jwksUrl }: Settings): boolean {
  return [jwtSecret, jwtPublicKey, jwksUrl].some((key) => key !== undefined)
}

function keyForDevelopment(env: Process['env'], { log }: Settings): DevelopmentKey {
  if (env.NODE_ENV === 'production') {
    throw new SettingsError(
      'No key to verify tokens is set: set FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL. (The hub draws a secret by itself only if NODE_ENV is not production.)',
    )
  }
  return developmentKey(folderOf(log))
}

/** The output of the process. */
interface Output extends Pick<Process, 'stdout' | 'stderr'> {
  /** Whether standard output is a terminal. */
  isTerminal: boolean
}

/**
 * Prints the banner of a hub for development. If standard output is not a terminal, it is reserved for log lines: the
 * banner goes to standard error, and its fields to the log.
 */
function printBanner(
  { isKept, isReplaced, failure }: DevelopmentKey,
  { text, ...fields }: ReturnType<typeof devBanner>,
  logger: Logger,
  { isTerminal, stdout, stderr }: Output,
): void {
  if (failure)
    logger.warn(
      { err: failure },
      'cannot store the secret for development in the folder of the log: the secret is for this run only',
    )
  if (isReplaced)
    logger.warn(
      { file: SECRET_FILE },
      'the file in the folder of the log held no valid secret, so the hub drew a new one: older tokens are refused',
    )
  if (isTerminal) {
    stdout.write(text)
    return
  }
  stderr.write(text)
  logger.warn(
    fields,
    isKept
      ? 'no key is set: the hub uses the secret in the folder of the log, and this token is valid as long as the secret is kept'
      : 'no key is set: the hub drew a secret for this run, and this token is valid for this run',
  )
}
