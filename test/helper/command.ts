/** The built `fanfare` as a process: its output and its exit. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { bareNode } from './bare-node.js'
import { within } from './deadline.js'
import type { Exit } from './process.js'
import { SECRET } from './token.js'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface CommandOptions {
  env?: Record<string, string>
  /** The user id of the process; only root can choose. */
  user?: number
  /** The standard input; default: empty. */
  input?: string | Uint8Array
  /** Whether the standard input stays open after `input`, for `stdin`. */
  keepsInput?: boolean
  /** The folder in which the command runs. */
  cwd?: string
}

export interface Command {
  readonly pid: number | undefined
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exited: Promise<Exit>
  kill(signal: NodeJS.Signals): void
}

/** The result of a command. */
export interface Outcome extends Exit {
  stdout: string
  stderr: string
}

/**
 * Starts `fanfare` with arguments. It is killed when the test is over. It gets only PATH of this process's environment.
 */
export function startCommand(
  t: Test,
  args: readonly string[],
  { env = {}, user, input, keepsInput = false, cwd }: CommandOptions = {},
): Command {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first')
  const child = spawn(
    ...bareNode([MAIN, ...args], { HOST: '127.0.0.1', PORT: '0', FANFARE_JWT_SECRET: SECRET, ...env }),
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(user === undefined ? {} : { uid: user, gid: user }),
      ...(cwd === undefined ? {} : { cwd }),
    },
  )
  child.stdin.on('error', () => undefined) // it may have ended without reading
  if (input !== undefined) child.stdin.write(input)
  if (!keepsInput) child.stdin.end()
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: null, signal: null }))
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    child.stdout.resume()
    child.stderr.resume()
    await exited
  })
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    kill: (signal) => void child.kill(signal),
  }
}

/** The output of a command so far. */
export interface Output {
  stdout: string
  stderr: string
  /** Resolves with the output once it has a text or matches. */
  until(name: 'stdout' | 'stderr', expected: string | RegExp): Promise<string>
}

/** Collects the output of a command. */
export function collectOutput(command: Command): Output {
  const output: Output = {
    stdout: '',
    stderr: '',
    until(name, expected) {
      const isThere = (): boolean =>
        typeof expected === 'string' ? output[name].includes(expected) : expected.test(output[name])
      const seen = new Promise<string>((resolve) => {
        const look = (): void => {
          if (isThere()) resolve(output[name])
        }
        command[name].on('data', look)
        command[name].once('end', look)
        look()
      })
      return within(seen, () => `no ${String(expected)} on ${name}:\n${output.stdout}${output.stderr}`)
    },
  }
  for (const name of ['stdout', 'stderr'] as const)
    command[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text))
  return output
}

/** Runs `fanfare` with arguments until it ends. */
export async function runCommand(t: Test, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const command = startCommand(t, args, options)
  const output = collectOutput(command)
  const exit = await within(
    command.exited,
    () => `fanfare ${args.join(' ')} does not exit:\n${output.stdout}${output.stderr}`,
  )
  return { ...exit, stdout: output.stdout, stderr: output.stderr }
}
