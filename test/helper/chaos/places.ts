/** The processes of a run. Each has a place: an address at which it is ended, frozen and started again. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { freePort } from '../free-port.js'
import type { MonitoredServer } from '../nats.js'
import { startHub, type Hub } from '../process.js'
import type { Story } from './story.js'

export type PlaceState = 'up' | 'frozen' | 'down'

/** What a report asks a NATS server for. */
const REPORTS = ['/healthz', '/jsz?streams=1&consumers=1&raft=1', '/raftz?acc=$G', '/connz']
/** The number of lines of a server's log that its report has. */
const LAST_LINES = 60

/** How long after a fault a place may still be slow, in milliseconds. */
const RECOVERY = 1_000

/**
 * Returns a loopback address that no other test uses, if the system has more than one. Otherwise another process could
 * take the port of a place that is down.
 */
function ownAddress(): string {
  const part = () => 1 + Math.floor(Math.random() * 254)
  return process.platform === 'linux' ? `127.${part()}.${part()}.${part()}` : '127.0.0.1'
}

export abstract class Place {
  readonly name: string
  state: PlaceState = 'down'
  /** When the place was last not up, on the clock of the story. */
  #disturbedAt = -Infinity
  protected readonly story: Story

  constructor(name: string, story: Story) {
    this.name = name
    this.story = story
  }

  /** Whether the place was down or frozen at some time since `from`, or has only just recovered then. */
  wasDisturbed(from: number): boolean {
    return this.state !== 'up' || this.#disturbedAt + RECOVERY >= from
  }

  async start(): Promise<void> {
    await this.run()
    this.#set('up')
  }

  /** Ends the process with a signal, and waits for its end. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#set('down')
    await this.terminate(signal)
  }

  freeze(): void {
    this.#set('frozen')
    this.send('SIGSTOP')
  }

  thaw(): void {
    if (this.state !== 'frozen') return // killed meanwhile
    this.send('SIGCONT')
    this.#set('up')
  }

  /** Called after each change of the state. */
  protected changed(): void {}
  protected abstract run(): Promise<void>
  protected abstract terminate(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  protected abstract send(signal: 'SIGSTOP' | 'SIGCONT'): void

  #set(state: PlaceState): void {
    this.state = state
    this.#disturbedAt = this.story.now()
    this.changed()
  }
}

/** A hub. */
export class HubPlace extends Place {
  readonly url: string
  readonly #t: Test
  readonly #env: Record<string, string>
  /** The reasons for which a hub may refuse to start: then it is started again. */
  readonly #mayRefuse: RegExp
  /** The number of stops that have taken too long, so that the process has ended at once. */
  forced = 0
  /** Every process of this place. */
  readonly processes: Hub[] = []

  private constructor(t: Test, name: string, story: Story, port: number, env: Record<string, string>, refusal: RegExp) {
    super(name, story)
    const host = ownAddress()
    this.#t = t
    this.#env = { ...env, HOST: host, PORT: String(port) }
    this.#mayRefuse = refusal
    this.url = `http://${host}:${port}`
  }

  static async create(
    t: Test,
    name: string,
    story: Story,
    { env, mayRefuse }: { env: Record<string, string>; mayRefuse: RegExp },
  ): Promise<HubPlace> {
    return new HubPlace(t, name, story, await freePort(), env, mayRefuse)
  }

  /** The current process. */
  get hub(): Hub {
    return this.processes.at(-1)!
  }

  protected override changed(): void {
    this.story.runs(this.name, this.state === 'up')
  }

  protected async run(): Promise<void> {
    for (;;) {
      try {
        const hub = await startHub(this.#t, this.#env)
        this.processes.push(hub)
        void this.#watch(hub)
        return
      } catch (err) {
        if (!this.#mayRefuse.test(String(err))) throw err
        await delay(50)
      }
    }
  }

  /** Notices a hub that ends by itself. */
  async #watch(hub: Hub): Promise<void> {
    const { code, signal } = await hub.exited
    if (this.state === 'down') return
    const last = hub.output().slice(-1_000)
    this.story.breaks(`${this.name} has ended by itself (${code ?? signal ?? ''}): ${last}`)
  }

  protected async terminate(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (signal === 'SIGKILL') return this.hub.kill()
    const { hub } = this
    const code = await hub.stop(signal)
    // a request may wait for a frozen process longer than a stop may take
    if (code === 1 && hub.logs().some(({ msg }) => String(msg).startsWith('not stopped within'))) this.forced++
    else if (code !== 0) this.story.breaks(`${this.name} ends with the exit code ${code ?? 'null'} after SIGTERM`)
  }

  protected send(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.hub.signal(signal)
  }
}

/** A NATS server that has been started. */
export class NatsPlace extends Place {
  readonly #server: MonitoredServer

  constructor(name: string, story: Story, server: MonitoredServer) {
    super(name, story)
    this.#server = server
    this.state = 'up'
  }

  /** Whether the server has all of its streams, as it says. */
  async isHealthy(): Promise<boolean> {
    const answer = await this.#server.monitor('/healthz').catch(() => undefined)
    return answer?.status === 200
  }

  /** Returns what the server says of itself: its health, its streams with their leaders, and the end of its log. */
  async report(): Promise<string[]> {
    const answers = await Promise.all(
      REPORTS.map(async (path) => {
        const answer = await this.#server.monitor(path).catch(String)
        return `${this.name}${path}: ${JSON.stringify(typeof answer === 'string' ? answer : answer.body)}`
      }),
    )
    const lines = this.#server.output().trimEnd().split('\n')
    return [...answers, ...lines.slice(-LAST_LINES).map((line) => `${this.name} logs: ${line}`)]
  }

  protected run(): Promise<void> {
    return this.#server.start()
  }

  protected terminate(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return this.#server.stop(signal)
  }

  protected send(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#server.signal(signal)
  }
}
