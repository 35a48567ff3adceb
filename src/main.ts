#!/usr/bin/env node
/** The process: which command runs, and what becomes of its errors. Only it and `commands/stop.ts` touch `process`. */
import { UsageError, type Process } from './commands/command.js'
import { Stop } from './commands/stop.js'
import { StoreError } from './log/lmdb/store-error.js'
import { SettingsError } from './model/settings-error.js'

const [name = 'start', ...args] = process.argv.slice(2)
// first of all: what is loaded below takes half a second, and who is told to stop meanwhile has to hear it
const stop = name === 'start' ? new Stop(process.env) : undefined

type Command = (args: string[], process: Process) => Promise<void>

/** How each command is loaded, with no more than it needs: whoever wants a token does not wait for a server. */
const commands: Record<string, () => Promise<Command>> = {
  start: async () => {
    const { start } = await import('./commands/start.js')
    return (_args, process) => start(process, stop!)
  },
  health: async () => (await import('./commands/health.js')).health,
  inspect: async () => (await import('./commands/inspect.js')).inspect,
  backup: async () => (await import('./commands/backup.js')).backup,
  token: async () => (await import('./commands/token.js')).token,
}

// Whoever reads only the beginning of what is printed, such as `head`, has enough.
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

const USAGE = `Usage:
  fanfare [start]                            start a hub; it is told what to do by its environment (docs/settings.md)
  fanfare health                             asks the hub of this environment (HOST, PORT) whether it is alive
  fanfare inspect <folder> [--topic <topic>] what a log holds, or the events of a topic as NDJSON
  fanfare backup <folder> <to>               a consistent copy of a log, also of one that is in use
  fanfare token [--sub <subject>] [--subscribe <patterns>] [--publish <patterns>] [--presence <patterns>] [--admin]
                [--info <json>] [--expires 1h] [--jti <id>] [--issuer <iss>] [--audience <aud>]
                [--secret-file <file> | --key-file <file> [--kid <id>]]
                                             a token, signed with FANFARE_JWT_SECRET or with what a file holds
  fanfare token --explain <token>            what a token allows, and why a hub would refuse it; -: from standard input
`

const load = Object.hasOwn(commands, name) ? commands[name] : undefined
try {
  if (process.argv.slice(2).some((arg) => ['--help', '-h'].includes(arg))) {
    process.stdout.write(USAGE)
    process.exit()
  }
  if (!load) throw new UsageError(`There is no command ${name}.`)
  const command = await load()
  await command(args, process)
} catch (err) {
  if (err instanceof UsageError) console.error(`${err.message}\n\n${USAGE}`)
  else if (err instanceof SettingsError || err instanceof StoreError) console.error(err.message)
  else throw err
  process.exitCode = 1
}
