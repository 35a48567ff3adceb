import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { bareNode } from './bare-node.js'
import { DEADLINE, within } from './deadline.js'
import { NATIVE_SOCKETS } from './native-sockets.js'
import { SECRET } from './token.js'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A built hub in its own process. */
export interface Hub {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** The lines of its log so far, parsed; a line that is not JSON as `{ msg: line }`. */
  logs(): LogLine[]
  /** The output so far, of stdout and stderr. */
  output(): string
  /** Settles when the process has ended. */
  readonly exited: Promise<Exit>
  signal(signal: NodeJS.Signals): void
  /** Sends a signal, waits for the end, and returns the exit code (`null`: it was killed). */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Kills it with SIGKILL. */
  kill(): Promise<void>
}

export interface LogLine extends Record<string, unknown> {
  msg?: unknown
}

/**
 * Starts the built hub (`npm run build`) on a free port of the loopback interface, with the memory log, `SECRET` and no
 * tolerance for clocks. Resolves when it listens. It is killed when the test is over. It gets only PATH and
 * `NATIVE_SOCKETS` of this process's environment.
 * @param prefix a command line that runs the hub, such as `unshare`
 * @throws with its output if it ends before it listens
 */
export async function startHub(
  t: Test,
  env: Record<string, string> = {},
  prefix: readonly string[] = [],
): Promise<Hub> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first')
  const settings = {
    FANFARE_NATIVE_SOCKETS: NATIVE_SOCKETS,
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'info',
    FANFARE_LOG: 'memory',
    FANFARE_JWT_SECRET: SECRET,
    FANFARE_CLOCK_TOLERANCE: '0s',
    ...env,
  }
  const [command, ...args] = [...prefix, ...bareNode([MAIN], settings).flat()] as [string, ...string[]]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: null, signal: null }))
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  async function kill(): Promise<void> {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)

  let stdout = ''
  let stderr = ''
  const address = new Promise<string>((resolve) => {
    let found: string | undefined
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      if (found === undefined && (found = listening(parseLog(stdout))) !== undefined) resolve(found)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  })
  const output = (): string => `${stdout}${stderr}` || '(no output)'
  const ended = exited.then(async ({ code, signal }) => {
    await within(closed, () => 'a process of the hub holds its output').catch(() => undefined) // its last words
    throw new Error(`the hub ended before it listened (${code ?? signal ?? 'not started'}):\n${output()}`)
  })
  ended.catch(() => undefined) // once the hub listens, its end is not an error

  const url = await within(Promise.race([address, ended]), () => `the hub does not listen:\n${output()}`)
  const pid = child.pid
  if (pid === undefined) throw new Error('the hub has no process id')
  return {
    url,
    port: Number(new URL(url).port),
    pid,
    logs: () => parseLog(stdout),
    output: () => stdout + stderr,
    exited,
    signal: (signal) => void child.kill(signal),
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      return (await within(exited, () => `the hub does not exit after ${signal}:\n${output()}`, DEADLINE)).code
    },
    kill,
  }
}

function listening(lines: LogLine[]): string | undefined {
  for (const { address, msg } of lines) {
    if (typeof address === 'string' && typeof msg === 'string' && msg.startsWith('listening')) return address
  }
  return undefined
}

/** Returns the complete lines of a log. */
function parseLog(text: string): LogLine[] {
  const lines = text.split('\n').slice(0, -1)
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      try {
        return JSON.parse(line) as LogLine
      } catch {
        return { msg: line }
      }
    })
}
