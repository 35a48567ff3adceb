/** The cluster of compose.cluster.yaml as processes on ports of the loopback interface. */
import type { Test } from 'tap'
import { request } from '../helper/http.js'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { startNatsAs } from '../helper/nats.js'
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
    FANFARE_LOG: `nats://${servers.map((port) => `127.0.0.1:${port}`).join(',')}`,
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
  }
}

/** Starts the NATS servers. Resolves with their ports when their health checks pass. */
async function startServers(t: Test, services: Record<string, Service>): Promise<number[]> {
  const routes = await Promise.all(SERVERS.map(() => freePort()))
  const monitors = await Promise.all(SERVERS.map(() => freePort()))
  const configuration = readText('deploy/kubernetes/nats.conf')
  const servers = await Promise.all(
    SERVERS.map((name, n) => {
      const { command, environment } = services[name]!
      return startNatsAs(t, {
        configure: (port, folder) =>
          configuration
            .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
            .replace('0.0.0.0:6222', `127.0.0.1:${routes[n]!}`)
            .replace('0.0.0.0:8222', `127.0.0.1:${monitors[n]!}`)
            .replace('store_dir: /data', `store_dir: "${folder}"`),
        args: command!
          .slice(2) // without the path of the configuration
          .map((argument) =>
            argument.replaceAll(/(nats\d):6222/g, (_all, at: string) => `127.0.0.1:${routes[SERVERS.indexOf(at)]!}`),
          ),
        env: environment!,
      })
    }),
  )
  await Promise.all(
    SERVERS.map((name, n) => {
      const check = new URL(services[name]!.healthcheck!.test.at(-1)!)
      check.port = String(monitors[n])
      return poll(
        async () => ((await request(check.href)).status === 200 ? true : undefined),
        () => `${name} is not healthy`,
      )
    }),
  )
  return servers.map(({ port }) => port)
}
