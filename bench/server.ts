/** A server under test: a process of its own, on a core of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onCore } from './cores.js'

/** The time limit for listening, in milliseconds. */
const DEADLINE = 15_000

/** The running servers. They end with this process, even if it is interrupted. */
const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

export class Server {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, address: string) {
    this.#child = child
    this.port = Number(new URL(address).port)
  }

  /**
   * Starts a server that logs a JSON line with its `address` on its standard output once it listens.
   * @param args the arguments of `node`
   * @throws Error if the server does not listen in time
   */
  static async start(args: string[], env: Record<string, string>): Promise<Server> {
    const [program, ...rest] = onCore('hub', [process.execPath, ...args])
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, ...env },
    })
    running.add(child)
    child.once('exit', () => running.delete(child))
    try {
      return new Server(child, await addressOf(child))
    } catch (err) {
      child.kill('SIGKILL')
      throw err
    }
  }

  get pid(): number {
    return this.#child.pid!
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Kills the server, since a graceful stop is not part of any measurement. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! })
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the server does not listen')), DEADLINE)
    child.once('error', reject)
    child.once(
      'exit',
      (code, signal) => (clearTimeout(timer), reject(new Error(`the server has ended (${signal ?? code})`))),
    )
    lines.on('line', (line) => {
      const { address } = parse(line)
      if (typeof address !== 'string') return
      clearTimeout(timer)
      resolve(address)
    })
  })
}

function parse(line: string): { address?: unknown } {
  try {
    return JSON.parse(line) as { address?: unknown }
  } catch {
    return {}
  }
}
