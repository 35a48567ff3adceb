/** A server under test: a process of its own, with its workers if it has any. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onCore, type Role } from './cores.js'
import { endWithUs } from './processes.js'
import { processTree } from './procfs.js'

/** The time limit for listening, in milliseconds: many workers start on few cores. */
const DEADLINE = 60_000

export class Server {
  readonly port: number
  /** The process and its workers. */
  readonly pids: readonly number[]
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, address: string) {
    this.#child = child
    this.pids = processTree(child.pid!)
    this.port = Number(new URL(address).port)
  }

  /**
   * Starts a server that logs a JSON line with its `address` on its standard output once it listens. Lines that also
   * have a `worker` are those of its workers.
   * @param args the arguments of `node`
   * @throws Error if the server does not listen in time
   */
  static async start(args: string[], env: Record<string, string>, role: Role): Promise<Server> {
    const [program, ...rest] = onCore(role, [process.execPath, ...args])
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, ...env },
    })
    endWithUs(child)
    try {
      return new Server(child, await addressOf(child))
    } catch (err) {
      child.kill('SIGKILL')
      throw err
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Kills the server and its workers, since a graceful stop is not part of any measurement. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
    for (const worker of this.pids.slice(1)) kill(worker)
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
      const { address, worker } = parse(line)
      if (typeof address !== 'string' || worker !== undefined) return
      clearTimeout(timer)
      resolve(address)
    })
  })
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ESRCH') throw err
  }
}

function parse(line: string): { address?: unknown; worker?: unknown } {
  try {
    return JSON.parse(line) as { address?: unknown; worker?: unknown }
  } catch {
    return {}
  }
}
