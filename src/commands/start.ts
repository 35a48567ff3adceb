/** `fanfare start`: settings, application, listen, graceful close. */
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

/** How long what is in flight may take to be answered once every stream has ended, in milliseconds. */
const CLOSE_GRACE = 5_000

/** Starts a hub, which then lives until it is told to stop. */
export async function start({ env, stdout, stderr }: Process, stop: Stop): Promise<void> {
  keepYoungObjectsYoung()
  const { host, port, logLevel, trustProxy, hub } = loadSettings(env)
  const key = hasKey(hub) ? undefined : keyForDevelopment(env, hub)
  const terminal = stdout.isTTY ?? false
  const logger = createLogger(logLevel, terminal)
  if (stop.isTold()) {
    logger.info('told to stop before anything was opened')
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
      if (address?.socketPath !== undefined) rmSync(address.socketPath, { force: true }) // where it has not been closed
      await app.hub.halt()
    },
  })
  if (stop.isTold()) return

  try {
    address = await listen(app, host, port)
  } catch (err) {
    if (stop.isTold()) return // the application is being closed
    await app.close()
    throw err
  }
  warnOfDescriptorLimit(hub.maxConnections, logger)
  watchDescriptors(logger)
  logger.info({ address: address.text }, `listening on ${address.text}`)
  if (key) tell(key, devBanner(address, key, hub.console), logger, { isRead: terminal, stdout, stderr })
}

/**
 * Ends the streams, and keeps the port open for requests that are being served: both together take the time at most.
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
      'There is no key to verify tokens with: set FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL. (Only outside production the hub draws a secret by itself.)',
    )
  }
  return developmentKey(folderOf(log))
}

/** Where the process is read: by a person in a terminal, or by what collects its log. */
interface Output extends Pick<Process, 'stdout' | 'stderr'> {
  isRead: boolean
}

/**
 * Says how to use a hub for development right away. Standard output is for the log alone where no person reads it: the
 * same words are then lines of standard error, and fields of the log.
 */
function tell(
  { isKept, isReplaced, failure }: DevelopmentKey,
  { text, ...fields }: ReturnType<typeof devBanner>,
  logger: Logger,
  { isRead, stdout, stderr }: Output,
): void {
  if (failure)
    logger.warn(
      { err: failure },
      'the secret for development cannot be kept in the folder of the log, so it is for this run',
    )
  if (isReplaced)
    logger.warn(
      { file: SECRET_FILE },
      'the file for the secret in the folder of the log held none, so another was drawn: older tokens are refused',
    )
  if (isRead) {
    stdout.write(text)
    return
  }
  stderr.write(text)
  logger.warn(
    fields,
    isKept
      ? 'no key is set: the secret in the folder of the log is used, and this token is good as long as it is kept'
      : 'no key is set: a secret was drawn for this run, and this token is good for as long',
  )
}
