#!/usr/bin/env node
/**
 * The entry point of the process: runs a command and prints its errors. Only this file and `commands/stop.ts` use the
 * arguments, signals and exit of the global `process`.
 */
import { CommandError, type Process } from './commands/command.js'
import { Stop } from './commands/stop.js'
import { StoreError } from './log/lmdb/store-error.js'
import { SettingsError } from './model/settings-error.js'
import { NatsError } from './nats/nats-error.js'

const [name = 'start', ...args] = process.argv.slice(2)
const isStart = name === 'start' && args.length === 0
// First: the imports of a command take half a second, and a signal to stop may arrive meanwhile.
const stop = isStart || name === 'worker' ? new Stop(process.env, name === 'worker') : undefined

/**
 * Runs the command. Each command loads its own modules only. A start and a health check do not load the parser of the
 * command line: a hub starts faster, and a container checks its health every few seconds.
 */
async function run(process: Process): Promise<void> {
  if (stop && isStart) return (await import('./commands/start.js')).start(process, stop)
  // not in the help: `start` runs it for each process of FANFARE_WORKERS
  if (stop) return (await import('./commands/worker.js')).work(args, process, stop)
  if (name === 'health' && args.length === 0) return (await import('./commands/health.js')).health(process)
  return (await import('./commands/command-line.js')).runCommandLine([name, ...args], process)
}

/** Returns a signal for commands that end when the process is interrupted. */
function interrupted(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort())
  return controller.signal
}

/** The parts of the process that commands use. Standard input is opened when it is first used. */
const parts: Process = {
  env: process.env,
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  script: process.argv[1],
  get exitCode() {
    return process.exitCode
  },
  set exitCode(code) {
    process.exitCode = code
  },
  interrupted,
}

// A reader such as `head` closes the pipe early: exit silently.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (err: NodeJS.ErrnoException) => {
    if (err.code !== 'EPIPE') throw err
    process.exit()
  })

try {
  await run(parts)
} catch (err) {
  if (![CommandError, SettingsError, StoreError, NatsError].some((known) => err instanceof known)) throw err
  console.error((err as Error).message)
  process.exitCode = err instanceof CommandError ? err.exitCode : 1
}
