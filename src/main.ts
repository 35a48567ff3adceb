#!/usr/bin/env node
/**
 * The entry point of the process: runs a command and prints its errors. Only this file and `commands/stop.ts` use the
 * arguments, signals and exit of the global `process`.
 */
import { UsageError, type Process } from './commands/command.js'
import { Stop } from './commands/stop.js'
import { StoreError } from './log/lmdb/store-error.js'
import { SettingsError } from './model/settings-error.js'
import { NatsError } from './nats/nats-error.js'

const [name = 'start', ...args] = process.argv.slice(2)
// First: the imports of a command take half a second, and a signal to stop may arrive meanwhile.
const stop = ['start', 'worker'].includes(name) ? new Stop(process.env, name === 'worker') : undefined

type Command = (args: string[], process: Process) => Promise<void>

/** Loads each command with its own imports only, so that `fanfare token` does not load the server. */
const commands: Record<string, () => Promise<Command>> = {
  start: async () => {
    const { start } = await import('./commands/start.js')
    return (_args, process) => start(process, stop!)
  },
  // not in the usage: `start` runs it for each process of FANFARE_WORKERS
  worker: async () => {
    const { work } = await import('./commands/worker.js')
    return (args, process) => work(args, process, stop!)
  },
  health: async () => (await import('./commands/health.js')).health,
  inspect: async () => (await import('./commands/inspect.js')).inspect,
  backup: async () => (await import('./commands/backup.js')).backup,
  token: async () => (await import('./commands/token.js')).token,
}

// A reader such as `head` closes the pipe early: exit silently.
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

const USAGE = `Usage:
  fanfare [start]                            start a hub, configured by environment variables (docs/settings.md)
  fanfare health                             check whether the hub at HOST and PORT is alive
  fanfare inspect <folder> [--topic <topic>] describe a log, or print the events of a topic as NDJSON
  fanfare backup <folder> <to>               copy a log consistently, even while a hub uses it
  fanfare token [--sub <subject>] [--subscribe <patterns>] [--publish <patterns>] [--presence <patterns>] [--admin]
                [--info <json>] [--expires 1h] [--jti <id>] [--issuer <iss>] [--audience <aud>]
                [--secret-file <file> | --key-file <file> [--kid <id>]]
                                             issue a token, signed with FANFARE_JWT_SECRET or with a key in a file
  fanfare token --explain <token>            explain what a token allows, and why a hub would refuse it;
                                             "-" reads the token from standard input
`

const load = Object.hasOwn(commands, name) ? commands[name] : undefined
try {
  if (process.argv.slice(2).some((arg) => ['--help', '-h'].includes(arg))) {
    process.stdout.write(USAGE)
    process.exit()
  }
  if (!load) throw new UsageError(`Unknown command: ${name}.`)
  const command = await load()
  await command(args, process)
} catch (err) {
  if (err instanceof UsageError) console.error(`${err.message}\n\n${USAGE}`)
  else if ([SettingsError, StoreError, NatsError].some((known) => err instanceof known))
    console.error((err as Error).message)
  else throw err
  process.exitCode = 1
}
