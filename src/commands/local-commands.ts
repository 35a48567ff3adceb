/** Defines the commands that run a hub, or work with its files and keys. */
import type { Command } from '@commander-js/extra-typings'
import { UsageError, type Process } from './command.js'
import { collect } from './option-values.js'

export function defineLocalCommands(program: Command, process: Process): void {
  defineStart(program)
  defineHealth(program, process)
  defineInspect(program, process)
  defineCopies(program, process)
  defineToken(program, process)
}

function defineStart(program: Command): void {
  program
    .command('start')
    .summary('start a hub (the default)')
    .description(
      'Starts a hub, configured by environment variables. Without a key it draws a secret, and prints a token and commands to paste.',
    )
    .action(() => {
      throw new UsageError('start takes no arguments: set environment variables')
    })
}

function defineHealth(program: Command, process: Process): void {
  program
    .command('health')
    .summary('check whether the hub at HOST and PORT is alive')
    .description('Checks whether the hub at HOST and PORT is alive. Prints nothing if it is.')
    .action(async () => (await import('./health.js')).health(process))
}

function defineInspect(program: Command, process: Process): void {
  program
    .command('inspect')
    .summary('print the contents of a log')
    .description('Prints the totals and the topics of a log, even while a hub uses it.')
    .argument('<folder>', 'the folder of the log')
    .option('--topic <topic>', 'print the events of this topic, one JSON object a line')
    .action(async (folder, options) => (await import('./inspect.js')).inspect(folder, options, process))
}

/** The commands that copy a log, and put a copy in its place. */
function defineCopies(program: Command, process: Process): void {
  program
    .command('backup')
    .summary('copy a log consistently')
    .description('Copies a log consistently, even while a hub uses it. The copy begins a new epoch.')
    .argument('<folder>', 'the folder of the log')
    .argument('<to>', 'an empty or new folder for the copy')
    .action(async (folder, to) => (await import('./backup.js')).backup(folder, to, process))

  program
    .command('restore')
    .summary('put a copy of a log in its place')
    .description(
      'Puts a copy of a log, made by backup, into the folder of a hub that is stopped. The restored log begins a new epoch.',
    )
    .argument('<copy>', 'the folder of the copy, which stays as it is')
    .argument('<folder>', 'the folder of the log')
    .option('--replace', 'replace the log in the folder, and keep the old log beside the new one')
    .action(async (copy, folder, options) => (await import('./restore.js')).restore(copy, folder, options, process))
}

function defineToken(program: Command, process: Process): void {
  program
    .command('token')
    .summary('issue or explain a token')
    .description(
      'Issues a token, signed with FANFARE_JWT_SECRET or with a key in a file. With --explain, explains one.',
    )
    .option('--sub <subject>', 'the subject of the token')
    .option('--subscribe <patterns>', 'topics and patterns to subscribe to, separated by commas', collect)
    .option('--publish <patterns>', 'topics and patterns to publish to', collect)
    .option('--presence <patterns>', 'topics and patterns whose presence the token may read', collect)
    .option('--admin', 'allow what only admins may do')
    .option('--info <json>', 'what others see where the subject is present')
    .option('--expires <duration>', 'how long the token is valid, such as 15m, 1h or 30d (default: for ever)')
    .option('--jti <id>', 'the id of the token, by which it can be revoked')
    .option('--issuer <issuer>', 'the claim iss (default: FANFARE_JWT_ISSUER)')
    .option('--audience <audience>', 'the claim aud (default: FANFARE_JWT_AUDIENCE)')
    .option('--secret-file <file>', 'sign with the secret in this file')
    .option('--key-file <file>', 'sign with the private key in this file (PEM)')
    .option('--kid <id>', 'the name of the key, for the header of the token')
    .option('--explain <token>', 'explain this token, and why a hub would refuse it ("-": from standard input)')
    .action(async (options) => (await import('./token.js')).token(options, process))
}
