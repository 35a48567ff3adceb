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
    FANFARE_LOG: `file:./data/examples/${name}`, // what was published is there again at the next start
    FANFARE_CORS_ORIGINS: `http://127.0.0.1:${port},http://localhost:${port}`,
    ...settings,
  },
})
hub.once('exit', (code) => process.exit(code ?? 1))
process.once('exit', () => hub.kill('SIGTERM')) // otherwise the hub would outlive this process
process.on('SIGINT', () => undefined) // Ctrl-C reaches the hub too, and a second signal would end it at once
// and its end is ours
for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.on(signal, () => void hub.kill('SIGTERM'))

const app = await buildExample(name, new HubClient(`http://127.0.0.1:${hubPort}`, secret))
try {
  await app.listen({ host: '127.0.0.1', port })
  console.log(`\nThe example "${name}": http://127.0.0.1:${port}\n`)
} catch (err) {
  console.error(err instanceof Error ? err.message : err)
  hub.kill('SIGTERM')
}

function isExample(word: string): word is ExampleName {
  return (NAMES as readonly string[]).includes(word)
}

/** A port that may be given in the environment. */
function portOf(variable: string, otherwise: number): number {
  const value = Number(process.env[variable] ?? otherwise)
  if (Number.isInteger(value) && value > 0 && value < 65_536) return value
  console.error(`${variable} has to be a port, and is "${process.env[variable] ?? ''}".`)
  process.exit(1)
}
