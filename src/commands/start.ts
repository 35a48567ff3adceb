/** `fanfare start`: reads the settings, and starts the hub in this process or in several workers. */
import cluster from 'node:cluster'
import type { Logger } from 'pino'
import {
  allowsDevelopmentKey,
  developmentKey,
  devBanner,
  hasKey,
  programName,
  SECRET_FILE,
  type DevelopmentKey,
} from './dev-banner.js'
import { folderOf } from '../log/address.js'
import { SameProcessIdError } from '../log/lmdb/store-error.js'
import { createLogger } from '../server/logger.js'
import { SettingsError } from '../model/settings-error.js'
import { loadSettings, type Settings } from '../settings.js'
import type { Process } from './command.js'
import { warnOfDescriptorLimit } from './descriptors.js'
import type { Address } from './listen.js'
import { serve, type HubStart } from './serve.js'
import type { Stop } from './stop.js'
import { countWorkers, runWorkers } from './workers.js'

/** Starts a hub, which runs until `stop` ends it. */
export async function start({ env, stdout, stderr, script }: Process, stop: Stop): Promise<void> {
  const settings = loadSettings(env)
  const workers = countWorkers(settings)
  const key = hasKey(settings.hub) ? undefined : keyForDevelopment(env, settings.hub)
  const terminal = stdout.isTTY
  const logger = createLogger(settings.logLevel, terminal)
  if (stop.hasSignal()) {
    logger.info('stopped by a signal before the hub was opened')
    return
  }
  const hubStart = { settings, logger, stop, secret: key?.secret }
  const address = workers === 1 ? await serveAlone(hubStart) : await runWorkers(hubStart, workers)
  if (!address) return // a signal ends the hub
  warnOfDescriptorLimit(settings.hub.maxConnections, logger)
  const { text } = address
  logger.info({ address: text }, `listening on ${text}${workers === 1 ? '' : ` with ${workers} workers`}`)
  if (!key) return
  const banner = devBanner(address, key, settings.hub.console, programName(script, env, settings.tls?.certFile))
  printBanner(key, banner, logger, { isTerminal: terminal, stdout, stderr })
}

/**
 * Serves the hub in this process. If a process of the log's folder has the id of this one, in another container, a
 * worker with another id serves it.
 */
async function serveAlone(hubStart: HubStart): Promise<Address | undefined> {
  try {
    return await serve(hubStart)
  } catch (err) {
    if (!(err instanceof SameProcessIdError) || !cluster.isPrimary) throw err
    hubStart.logger.info(
      'a process of another container has the id of this one and the same log: a worker serves the hub',
    )
    return runWorkers(hubStart, 1)
  }
}

function keyForDevelopment(env: Process['env'], { log }: Settings): DevelopmentKey {
  if (!allowsDevelopmentKey(env)) {
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
