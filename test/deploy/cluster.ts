/** The cluster of compose.cluster.yaml as processes on ports of the loopback interface. */
import type { Test } from 'tap'
import { request } from '../helper/http.js'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { startNatsAs, type NatsServer } from '../helper/nats.js'
import { startNginx, type Nginx } from '../helper/nginx.js'
import { startHub, type Hub } from '../helper/process.js'
import { SECRET } from '../helper/token.js'
import { imageEnvironment, readCompose, readText, type Service } from './files.js'

const SERVERS = ['nats1', 'nats2', 'nats3']
const HUBS = ['hub1', 'hub2', 'hub3']
const PASSWORD = '007'

export interface DeployedCluster {
  readonly nginx: Nginx
  /** The hubs at the moment. */
  readonly hubs: readonly Hub[]
  /**
   * Stops a hub with SIGTERM, and starts it again at its port.
   * @returns its exit code, and the number of streams that it had
   */
  restartHub(n: number): Promise<{ code: number | null; streams: unknown }>
  /** Stops a NATS server with the signal of compose, starts it again, and waits until it is healthy. */
  restartServer(n: number): Promise<void>
}

/** A NATS server, and what its health check asks for. */
interface Server extends NatsServer {
  stopSignal: NodeJS.Signals
  health: string
}

/**
 * Starts the NATS servers, then the hubs, then nginx, with the files and the environment of the deployment. Only
 * addresses, ports and folders are others.
 * @param env further settings of the hubs
 */
export async function startDeployedCluster(t: Test, env: Record<string, string>): Promise<DeployedCluster> {
  const services = readCompose({ FANFARE_JWT_SECRET: SECRET, FANFARE_NATS_PASSWORD: PASSWORD })
  const servers = await startServers(t, services)
  const settings = {
    ...imageEnvironment(),
    ...services[HUBS[0]!]!.environment,
    HOST: '127.0.0.1',
    FANFARE_LOG: `nats://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    ...env,
  }
  const ports = [await freePort(), await freePort(), await freePort()] as const
  const hubs = await Promise.all(ports.map((port) => startHub(t, { ...settings, PORT: String(port) })))
  return {
    nginx: await startNginx(t, ports),
    hubs,
    async restartHub(n) {
      const hub = hubs[n]!
      const code = await hub.stop()
      const { streams } = hub.logs().find(({ msg }) => msg === 'stopping') ?? {}
      hubs[n] = await startHub(t, { ...settings, PORT: String(ports[n]) })
      return { code, streams }
    },
    async restartServer(n) {
      const server = servers[n]!
      await server.stop(server.stopSignal)
      await server.start()
      await becomesHealthy(server)
    },
  }
}

/** Starts the NATS servers. Resolves when they are healthy. */
async function startServers(t: Test, services: Record<string, Service>): Promise<Server[]> {
  const routes = await Promise.all(SERVERS.map(() => freePort()))
  const configuration = readText('deploy/kubernetes/nats.conf')
  const servers = await Promise.all(
    SERVERS.map(async (name, n): Promise<Server> => {
      const { command, environment, healthcheck, stop_signal } = services[name]!
      const monitor = await freePort()
      const server = await startNatsAs(t, {
        configure: (port, folder) =>
          configuration
            .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
            .replace('0.0.0.0:6222', `127.0.0.1:${routes[n]!}`)
            .replace('0.0.0.0:8222', `127.0.0.1:${monitor}`)
            .replace('store_dir: /data', `store_dir: "${folder}"`),
        args: command!
          .slice(2) // without the path of the configuration
          .map((argument) =>
            argument.replaceAll(/(nats\d):6222/g, (_all, at: string) => `127.0.0.1:${routes[SERVERS.indexOf(at)]!}`),
          ),
        env: environment!,
      })
      const health = healthcheck!.test.at(-1)!.replace(':8222', `:${monitor}`)
      return { ...server, health, stopSignal: stop_signal as NodeJS.Signals }
    }),
  )
  await Promise.all(servers.map(becomesHealthy))
  return servers
}

async function becomesHealthy({ health }: Server): Promise<void> {
  await poll(
    async () => ((await request(health)).status === 200 ? true : undefined),
    () => `${health} is not healthy`,
  )
}
