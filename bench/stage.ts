/** The processes of a scenario: a server, the subscribers and the publishers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LoadProcess } from './load/load-process.js'
import type { Connected, SubscribePlan } from './load/subscribers.js'
import type { Options } from './options.js'
import { Server } from './server.js'
import { SECRET } from './token.js'

/** The arguments of `npm start`. */
const HUB = ['--max-semi-space-size=16', fileURLToPath(new URL('../dist/main.js', import.meta.url))]

/** The name of the group in scenarios with one group. */
export const EVERYBODY = 'everybody'

type Subscribing = Pick<SubscribePlan, 'count'> & Partial<Omit<SubscribePlan, 'port'>>

export class Stage {
  readonly subscribers = LoadProcess.start()
  readonly publishers = LoadProcess.start()
  readonly #directory: string | undefined
  readonly #start: () => Promise<Server>
  #server: Server

  private constructor(server: Server, start: () => Promise<Server>, directory?: string) {
    this.#server = server
    this.#start = start
    this.#directory = directory
  }

  /** Runs a scenario with a new hub, and stops it afterwards. */
  static async withHub<T>(
    options: Options,
    env: Record<string, string>,
    play: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    const directory = options.log === 'file' ? mkdtempSync(join(tmpdir(), 'fanfare-bench-')) : undefined
    const start = () =>
      Server.start(HUB, {
        PORT: '0',
        HOST: '127.0.0.1',
        FANFARE_JWT_SECRET: SECRET,
        FANFARE_LOG: directory === undefined ? options.log : `file:${directory}`,
        ...(options.durability === undefined ? {} : { FANFARE_DURABILITY: options.durability }),
        ...env,
      })
    return new Stage(await start(), start, directory).#play(play)
  }

  /** Runs a scenario with a server other than the hub: a Node program that accepts the same requests. */
  static async withServer<T>(program: string, play: (stage: Stage) => Promise<T>): Promise<T> {
    const start = () => Server.start([...process.execArgv, program], {})
    return new Stage(await start(), start).#play(play)
  }

  get server(): Server {
    return this.#server
  }

  /** Kills the server and starts it again, on another port. Returns the time until it listens, in seconds. */
  async restart(): Promise<number> {
    await this.#server.stop()
    const startedAt = performance.now()
    this.#server = await this.#start()
    return (performance.now() - startedAt) / 1e3
  }

  /** Opens streams; by default of one topic, 200 at a time. */
  subscribe(plan: Subscribing): Promise<Connected> {
    return this.subscribers.tell('subscribe', {
      port: this.server.port,
      group: EVERYBODY,
      topics: 1,
      atOnce: 200,
      ...plan,
    })
  }

  async #play<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
    try {
      return await play(this)
    } finally {
      this.subscribers.stop()
      this.publishers.stop()
      await this.server.stop()
      if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true })
    }
  }
}
