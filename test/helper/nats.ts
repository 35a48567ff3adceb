/** NATS servers for the tests. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { NatsOptions } from '../../src/nats/nats-options.js'
import { poll } from './deadline.js'
import { freePort } from './free-port.js'
import { findNatsServer, hasJetStream, INSTALL } from './nats-server.js'

const path = await findNatsServer()

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
  /** Starts it again, with the same port and folder. */
  start(): Promise<void>
  signal(signal: NodeJS.Signals): void
}

/**
 * Starts a server. It is killed when the test is over.
 * @param config more lines of its configuration
 */
export async function startNats(t: Test, config = ''): Promise<NatsServer> {
  if (path === undefined) throw new Error(`there is no nats-server: ${INSTALL}`)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-nats-'))
  const file = join(folder, 'server.conf')
  // each stream reserves its maximum bytes, which are many in tests
  const jetstream = `jetstream { store_dir: "${folder}", max_file_store: 9000000000000000000 }`
  writeFileSync(file, `listen: "127.0.0.1:${port}"\n${jetstream}\n${config}\n`)
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
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
    async start() {
      child = spawn(path, ['-c', file], { stdio: 'ignore' })
      await poll(
        () => hasJetStream(port),
        () => 'the NATS server does not listen',
      )
    },
    signal: (signal) => void child?.kill(signal),
  }
  t.teardown(async () => {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  await server.start()
  return server
}

/** Starts servers that are one cluster. */
export async function startNatsCluster(t: Test, count: number): Promise<NatsServer[]> {
  const ports = await Promise.all(Array.from({ length: count }, () => freePort()))
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ')
  return Promise.all(
    ports.map((port, n) =>
      startNats(
        t,
        `server_name: n${n}\ncluster { name: test, listen: "127.0.0.1:${port}", routes: [ ${routes} ], no_advertise: true }`,
      ),
    ),
  )
}
