/** `npm run example <name>`: a hub, and the example's own server beside it. Both end with Ctrl-C. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { loadExample, NAMES, type ExampleName } from './shared/example.js'
import { HubClient } from './shared/hub-client.js'
import { buildExample } from './shared/serve.js'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

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
const hub = spawn(process.execPath, [MAIN], {
  stdio: 'inherit',
  env: {
    ...process.env,
    HOST: '127.0.0.1',
    PORT: String(hubPort),
    LOG_LEVEL: 'warn',
    FANFARE_JWT_SECRET: secret,
    FANFARE_LOG: `file:./data/examples/${name}`, // the events of the example survive a restart
    FANFARE_CORS_ORIGINS: `http://127.0.0.1:${port},http://localhost:${port}`,
    ...settings,
  },
})
hub.once('exit', (code) => process.exit(code ?? 1))
process.once('exit', () => hub.kill('SIGTERM')) // otherwise the hub would outlive this process
// Ctrl-C reaches the hub too, and this process ends with the hub. A second signal would end the hub at once.
process.on('SIGINT', () => undefined)
for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.on(signal, () => void hub.kill('SIGTERM'))

const app = await buildExample(name, new HubClient(`http://127.0.0.1:${hubPort}`, secret))
try {
  await app.listen({ host: '127.0.0.1', port })
  console.log(`\nThe example "${name}": http://127.0.0.1:${port}\n`)
} catch (err) {
  console.error(err instanceof Error ? err.message : err)
  hub.kill('SIGTERM')
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
