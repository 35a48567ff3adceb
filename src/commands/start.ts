/** `fanfare start`: settings, application, listen, graceful close. */
import { lookup } from 'node:dns/promises'
import type { Logger } from 'pino'
import { buildApp } from '../app.js'
import { drawDevelopmentKey, firstMinute, type DevelopmentKey } from '../first-minute.js'
import { createLogger } from '../logger.js'
import { SettingsError } from '../settings-error.js'
import { loadSettings } from '../settings.js'
import type { Process } from './command.js'
import { keepYoungObjectsYoung } from './memory.js'
import { stopWhenTold } from './stop.js'

/** Connections that the kernel accepts for the process while it is busy. With Node's 511, of a thousand clients that connect at once some wait a second. */
const BACKLOG = 4_096
/** How long what is in flight may take to be answered once every stream has ended, in milliseconds. */
const CLOSE_GRACE = 5_000

/** Starts a hub, which then lives until it is told to stop. */
export async function start(_args: string[], { env, stdout }: Process): Promise<void> {
  keepYoungObjectsYoung()
  const { host, port, logLevel, trustProxy, hub } = loadSettings(env)
  const terminal = stdout.isTTY ?? false
  const key = [hub.jwtSecret, hub.jwtPublicKey, hub.jwksUrl].every((known) => known === undefined) ? developmentKey(env) : undefined
  const logger = createLogger(logLevel, terminal)
  const app = await buildApp({ ...hub, ...(key ? { jwtSecret: key.secret } : {}), trustProxy }, logger)

  stopWhenTold({
    delay: hub.drain + CLOSE_GRACE,
    logger,
    async close({ err, signal }) {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal, streams: app.hub.connections.size }, 'stopping')
      await app.hub.drain(err ? 0 : hub.drain)
      await app.close()
    },
    halt: () => app.hub.halt(),
  })

  const address = await app.listen({ host: await oneAddressOf(host), port, backlog: BACKLOG, listenTextResolver: () => 'accepting connections' })
  tell(address, key, hub.console, logger, terminal ? stdout : undefined)
}

/** Fastify gives each address of `localhost` a server of its own, and answers on the first alone what is in flight when it closes. */
async function oneAddressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host)).address : host
}

function developmentKey(env: Process['env']): DevelopmentKey {
  if (env.NODE_ENV === 'production') {
    throw new SettingsError('There is no key to verify tokens with: set FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL. (Only outside production the hub draws a secret by itself.)')
  }
  return drawDevelopmentKey()
}

/** Says where the hub is and, in development, how to use it right away: to a person in a terminal, else in the log. */
function tell(address: string, key: DevelopmentKey | undefined, hasConsole: boolean, logger: Logger, terminal: Process['stdout'] | undefined): void {
  logger.info({ address }, `listening on ${address}`)
  if (!key) return
  const { text, ...fields } = firstMinute(address, key, hasConsole)
  if (terminal) terminal.write(text)
  else logger.warn(fields, 'no key is set: a secret was drawn for this run, and this token is good for as long')
}
