/** `npm run example <name>`: a hub, and the example's own server beside it. Both end with `q` or Ctrl-C. */
import { randomBytes } from 'node:crypto'
import { loadExample, NAMES, type ExampleName } from './shared/example.js'
import { startHub } from './shared/hub-process.js'
import { onKeys } from './shared/keys.js'
import { buildExample } from './shared/serve.js'
import { createHubAccess } from './shared/hub-access.js'

const [name = ''] = process.argv.slice(2)
if (!isExample(name)) {
  console.error(
    `${name === '' ? 'Which example?' : `There is no example "${name}".`} npm run example <name>, where <name> is one of ${NAMES.join(', ')}.`,
  )
  process.exit(1)
}

const port = portOf('PORT', 8080)
const hubPort = portOf('HUB_PORT', 3000)
const secret = randomBytes(32).toString('base64url')
const { settings } = await loadExample(name)
const hub = startHub(
  {
    HOST: '127.0.0.1',
    PORT: String(hubPort),
    LOG_LEVEL: 'warn',
    FANFARE_JWT_SECRET: secret,
    FANFARE_LOG: `file:./data/examples/${name}`, // the events of the example survive a restart
    FANFARE_CORS_ORIGINS: `http://127.0.0.1:${port},http://localhost:${port}`,
    ...settings,
  },
  (code) => process.exit(code ?? 1),
)
process.once('exit', () => hub.stop()) // otherwise the hub would outlive this process
// Ctrl-C reaches the hub too, and this process ends with the hub. A second signal would end the hub at once.
process.on('SIGINT', () => undefined)
for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.on(signal, () => hub.stop())

const app = await buildExample(name, createHubAccess(`http://127.0.0.1:${hubPort}`, secret))
try {
  await app.listen({ host: '127.0.0.1', port })
  console.log(`\nThe example "${name}": http://127.0.0.1:${port}\n`)
  if (process.stdin.isTTY) {
    const listenAgain = onKeys(process.stdin, {
      r() {
        console.log('The hub restarts.')
        hub.restart(listenAgain)
      },
      q: () => hub.stop(),
    })
    console.log('Keys: r restarts the hub alone, q ends both.\n')
  }
} catch (err) {
  console.error(err instanceof Error ? err.message : err)
  hub.stop()
}

function isExample(name: string): name is ExampleName {
  return (NAMES as readonly string[]).includes(name)
}

/** Returns the port in an environment variable, or the default. */
function portOf(variable: string, defaultPort: number): number {
  const value = Number(process.env[variable] ?? defaultPort)
  if (Number.isInteger(value) && value > 0 && value < 65_536) return value
  console.error(`${variable}="${process.env[variable] ?? ''}" is not a port: set it to a number from 1 to 65535.`)
  process.exit(1)
}
