/** A load process, as its parent sees it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onCore, type Role } from '../cores.js'
import type { CommandName, Commands } from './commands.js'
import type { Answer, Request } from './process.js'

/** The time limit of a command, in milliseconds. A server that hangs must not keep the benches from ending. */
const DEADLINE = 300_000

const MAIN = fileURLToPath(new URL('./process.ts', import.meta.url))

export class LoadProcess {
  readonly #child: ChildProcess
  #waiting: { resolve: (output: unknown) => void; reject: (err: Error) => void } | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (answer: Answer) => this.#settle(answer))
    child.once('exit', (code, signal) => this.#settle({ error: `a load process has ended (${signal ?? code})` }))
  }

  static start(role: Role): LoadProcess {
    const [program, ...args] = onCore(role, [process.execPath, ...process.execArgv, MAIN])
    return new LoadProcess(spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Runs a command. Only one command may run at a time. */
  async tell<Name extends CommandName>(
    name: Name,
    input: Parameters<Commands[Name]>[0],
  ): Promise<Awaited<ReturnType<Commands[Name]>>> {
    let timer: NodeJS.Timeout | undefined
    const output = await new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      timer = setTimeout(() => reject(new Error(`${name} is not done after ${DEADLINE / 1e3} s`)), DEADLINE)
      this.#child.send({ name, input } satisfies Request, (err) => err && reject(err))
    }).finally(() => clearTimeout(timer))
    return output as Awaited<ReturnType<Commands[Name]>>
  }

  stop(): void {
    this.#child.kill()
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if ('error' in answer) waiting?.reject(new Error(answer.error))
    else waiting?.resolve(answer.output)
  }
}
