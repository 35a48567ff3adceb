#!/usr/bin/env node
/** The process: settings, application, listen, graceful close. The only file that touches `process`. */
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { buildApp } from './app.js'
import { drawDevelopmentKey, firstMinute, type DevelopmentKey } from './first-minute.js'
import { createLogger } from './logger.js'
import { loadSettings, SettingsError, type ProcessSettings } from './settings.js'

/** Connections that the kernel accepts for the process while it is busy. With Node's 511, of a thousand clients that connect at once some wait a second. */
const BACKLOG = 4_096
/** How long what is in flight may take to be answered once every stream has ended, in milliseconds. */
const CLOSE_GRACE = 5_000

try {
  await start(loadSettings(process.env))
} catch (err) {
  if (!(err instanceof SettingsError)) throw err
  console.error(err.message)
  process.exitCode = 1
}

async function start({ host, port, logLevel, trustProxy, hub }: ProcessSettings): Promise<void> {
  const terminal = process.stdout.isTTY
  const key = hub.jwtSecret === undefined && hub.jwtPublicKey === undefined ? developmentKey() : undefined
  const logger = createLogger(logLevel, terminal)
  const app = await buildApp({ ...hub, ...(key ? { jwtSecret: key.secret } : {}), trustProxy }, logger)

  closeWithGrace({ delay: hub.drain + CLOSE_GRACE, logger }, async ({ err, signal }) => {
    if (err) logger.fatal({ err }, 'stopping after an error')
    else logger.info({ signal, streams: app.hub.connections }, 'stopping')
    await app.hub.drain(err ? 0 : hub.drain)
    await app.close()
  })

  const address = await app.listen({ host, port, backlog: BACKLOG, listenTextResolver: () => 'accepting connections' })
  tell(address, key, logger, terminal)
}

function developmentKey(): DevelopmentKey {
  if (process.env.NODE_ENV === 'production') {
    throw new SettingsError('There is no key to verify tokens with: set FANFARE_JWT_SECRET or FANFARE_JWT_PUBLIC_KEY. (Only outside production the hub draws a secret by itself.)')
  }
  return drawDevelopmentKey()
}

/** Says where the hub is and, in development, how to use it right away: to a person in a terminal, else in the log. */
function tell(address: string, key: DevelopmentKey | undefined, logger: Logger, terminal: boolean): void {
  logger.info({ address }, `listening on ${address}`)
  if (!key) return
  const { text, ...fields } = firstMinute(address, key)
  if (terminal) console.log(text)
  else logger.warn(fields, 'no key is set: a secret was drawn for this run, and this token is good for as long')
}
