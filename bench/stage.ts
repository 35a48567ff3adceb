/** The processes of a scenario: one or more servers, the subscribers and the publishers. */
import { fileURLToPath } from 'node:url'
import type { Role } from './cores.js'
import { LoadProcess } from './load/load-process.js'
import type { Connected, SubscribePlan } from './load/subscribers.js'
import { isOnNats, type Options } from './options.js'
import { Server } from './server.js'
import { openStorage, type Storage } from './storage.js'
import { createCertificate } from './certificate.js'
import { SECRET } from './token.js'

/** The arguments of `npm start`. */
const HUB = ['--max-semi-space-size=16', fileURLToPath(new URL('../dist/main.js', import.meta.url))]

/** The name of the group in scenarios with one group. */
export const EVERYBODY = 'everybody'

/** The time limit for opening all streams, in milliseconds. */
const CONNECT_TIMEOUT = 60_000

type Subscribing = Pick<SubscribePlan, 'count'> & Partial<SubscribePlan>

/** How a hub is started. */
export interface HubPlan {
  options: Options
  /** Settings of the hub. */
  env?: Record<string, string>
  /** The key that verifies the tokens; default: the secret of the benches. */
  publicKey?: string
  /**
   * The number of hubs on one log, each with a port of its own, so that the load chooses the process. Default: one hub,
   * with the workers that the options ask for.
   */
  hubs?: number
}

export class Stage {
  readonly subscribers: LoadProcess
  readonly publishers: LoadProcess
  /** The core of the load. */
  readonly loadRole: Role
  /** Whether the hub speaks TLS. */
  readonly isTls: boolean
  readonly #storage: Storage | undefined
  readonly #start: () => Promise<Server[]>
  #servers: Server[]

  private constructor(
    servers: Server[],
    start: () => Promise<Server[]>,
    loadRole: Role,
    { storage, isTls = false }: { storage?: Storage; isTls?: boolean } = {},
  ) {
    this.#servers = servers
    this.#start = start
    this.#storage = storage
    this.isTls = isTls
    this.loadRole = loadRole
    this.subscribers = LoadProcess.start(loadRole)
    this.publishers = LoadProcess.start(loadRole)
  }

  /** Runs a scenario with a new hub, and stops it afterwards. */
  static withHub<T>(options: Options, env: Record<string, string>, play: (stage: Stage) => Promise<T>): Promise<T> {
    return Stage.withHubs({ options, env }, play)
  }

  /** Runs a scenario with new hubs, and stops them afterwards. */
  static async withHubs<T>(
    { options, env = {}, publicKey, hubs }: HubPlan,
    play: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    const { durability, publishRate } = options
    const workers = hubs === undefined ? (options.workers ?? 1) : 1
    const isAlone = hubs === undefined && workers === 1 && !isOnNats(options)
    const storage = await openStorage(options)
    const isTls = options.tls || options.http2
    const certificate = isTls ? createCertificate() : undefined
    const startOne = () =>
      Server.start(
        HUB,
        {
          PORT: '0',
          HOST: '127.0.0.1',
          FANFARE_LOG: storage.address,
          FANFARE_WORKERS: String(workers),
          ...(publicKey === undefined ? { FANFARE_JWT_SECRET: SECRET } : { FANFARE_JWT_PUBLIC_KEY: publicKey }),
          ...(durability === undefined ? {} : { FANFARE_DURABILITY: durability }),
          ...(publishRate === undefined ? {} : { FANFARE_PUBLISH_RATE: String(publishRate) }),
          ...certificate?.env,
          ...env,
        },
        isAlone ? 'hub' : 'any',
      )
    const start = async () => {
      const servers = [await startOne()] // the first one is the leader of a folder
      for (let count = 1; count < (hubs ?? 1); count++) servers.push(await startOne())
      return servers
    }
    try {
      return await new Stage(await start(), start, isAlone ? 'load' : 'any', { storage, isTls }).#play(play)
    } finally {
      certificate?.remove()
      await storage.close()
    }
  }

  /** Runs a scenario with a server other than the hub: a Node program that accepts the same requests. */
  static async withServer<T>(program: string, play: (stage: Stage) => Promise<T>, args: string[] = []): Promise<T> {
    const start = async () => [await Server.start([...process.execArgv, program, ...args], {}, 'hub')]
    return new Stage(await start(), start, 'load').#play(play)
  }

  /** The server, or the first of several. */
  get server(): Server {
    return this.#servers[0]!
  }

  /** The ports of all servers. */
  get ports(): number[] {
    return this.#servers.map(({ port }) => port)
  }

  /** All processes of all servers. */
  get pids(): number[] {
    return this.#servers.flatMap(({ pids }) => pids)
  }

  /** The NATS server of the bench, if there is one. */
  get natsPid(): number | undefined {
    return this.#storage?.natsPid
  }

  /** Kills the server and starts it again, on another port. Returns the time until it listens, in seconds. */
  async restart(): Promise<number> {
    await this.#stopServers()
    const startedAt = performance.now()
    this.#servers = await this.#start()
    return (performance.now() - startedAt) / 1e3
  }

  /** Opens streams; by default of one topic, 200 at a time, at all servers in turn. */
  subscribe(plan: Subscribing, subscribers = this.subscribers): Promise<Connected> {
    return subscribers.tell('subscribe', {
      ports: this.ports,
      isTls: this.isTls,
      group: EVERYBODY,
      topics: 1,
      atOnce: 200,
      timeout: CONNECT_TIMEOUT,
      ...plan,
    })
  }

  async #stopServers(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()))
  }

  async #play<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
    try {
      return await play(this)
    } finally {
      this.subscribers.stop()
      this.publishers.stop()
      await this.#stopServers()
    }
  }
}
