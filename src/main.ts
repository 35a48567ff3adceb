#!/usr/bin/env node
/** The process: which command runs, and what becomes of its errors. The only file that touches `process`. */
import { backup } from './commands/backup.js'
import { UsageError, type Process } from './commands/command.js'
import { inspect } from './commands/inspect.js'
import { start } from './commands/start.js'
import { token } from './commands/token.js'
import { StoreError } from './log/file/store.js'
import { SettingsError } from './settings.js'

const commands: Record<string, (args: string[], process: Process) => Promise<void>> = { start, inspect, backup, token }

// Whoever reads only the beginning of what is printed, such as `head`, has enough.
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

const USAGE = `Usage:
  fanfare [start]                            start a hub; it is told what to do by its environment (docs/settings.md)
  fanfare inspect <folder> [--topic <topic>] what a log holds, or the events of a topic as NDJSON
  fanfare backup <folder> <to>               a consistent copy of a log, also of one that is in use
  fanfare token [--sub <subject>] [--subscribe <patterns>] [--publish <patterns>] [--presence <patterns>] [--admin]
                [--info <json>] [--expires 1h] [--jti <id>] [--issuer <iss>] [--audience <aud>]
                [--secret-file <file> | --key-file <file> [--kid <id>]]
                                             a token, signed with FANFARE_JWT_SECRET or with what a file holds
  fanfare token --explain <token>            what a token allows, and why a hub would refuse it; -: from standard input
`

const [name = 'start', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
try {
  if (process.argv.slice(2).some((arg) => ['--help', '-h'].includes(arg))) {
    process.stdout.write(USAGE)
    process.exit()
  }
  if (!command) throw new UsageError(`There is no command ${name}.`)
  await command(args, process)
} catch (err) {
  if (err instanceof UsageError) console.error(`${err.message}\n\n${USAGE}`)
  else if (err instanceof SettingsError || err instanceof StoreError) console.error(err.message)
  else throw err
  process.exitCode = 1
}
