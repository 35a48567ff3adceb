/** Parses the command line and runs its command. Each command loads its own modules when it runs. */
import { Command, CommanderError, type CommandUnknownOpts, type OutputConfiguration } from '@commander-js/extra-typings'
import { nearest } from '../model/nearest.js'
import { version } from '../model/version.js'
import { UsageError, type Process } from './command.js'
import { EXIT_MEANINGS, EXIT } from './exit-codes.js'
import { defineHubCommands } from './hub-commands.js'
import { defineLocalCommands } from './local-commands.js'
import { defineProbes } from './probe-commands.js'
import { hasColor, painter } from './terminal.js'

/**
 * Runs the command of `args`: the words after `fanfare`.
 * @throws UsageError for a mistake, with the nearest name; the errors of the command
 */
export async function runCommandLine(args: string[], process: Process): Promise<void> {
  const program = defineProgram(process)
  const [name] = args
  // the completion of a shell asks for the names of all commands, which no other command needs
  if (name === 'completion' || name === 'complete') await addCompletion(program)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (err) {
    if (err instanceof CommanderError && err.exitCode === 0) return // the help or the version was printed
    if (err instanceof CommanderError) throw new UsageError(withHelp(sentenceOf(err.message), program, args))
    if (err instanceof UsageError) throw new UsageError(withHelp(err.message, program, args))
    throw err
  }
}

/** Returns all commands. Their definitions are also the source of the reference in the docs (`scripts/docs.ts`). */
export function defineProgram(process: Process): Command {
  const program = new Command('fanfare')
    .description('A realtime event hub: publish over HTTP, receive as Server-Sent Events, miss nothing.')
    .usage('[command] [options]')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print the help of a command')
    .enablePositionalOptions()
    .configureOutput(outputOf(process))
    .configureHelp({ showGlobalOptions: false, ...stylesOf(process) })
    .exitOverride()
    .addHelpText('after', `\nExit codes:\n${exitCodes()}\n\nWithout a command, fanfare starts a hub.`)
  defineLocalCommands(program, process)
  defineHubCommands(program, process)
  defineProbes(program, process)
  // stands for the command that the library for completion adds
  program
    .command('completion')
    .argument('<shell>', 'zsh, bash, fish or powershell')
    .description('print the completion script of a shell')
  for (const command of allCommands(program)) command.version(version, '-V, --version', 'print the version')
  return program
}

/** Returns the commands below a command, at any depth. */
export function allCommands(command: CommandUnknownOpts): CommandUnknownOpts[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)])
}

async function addCompletion(program: Command): Promise<void> {
  const placeholder = program.commands.findIndex((command) => command.name() === 'completion')
  ;(program.commands as unknown[]).splice(placeholder, 1)
  const { default: tab } = await import('@bomb.sh/tab/commander')
  tab(program as never, { completionCommandName: 'completion' })
  program.commands
    .find((command) => command.name() === 'completion')
    ?.version(version, '-V, --version', 'print the version')
}

function exitCodes(): string {
  return Object.entries(EXIT_MEANINGS)
    .map(([name, meaning]) => `  ${EXIT[name as keyof typeof EXIT]}  ${meaning.replaceAll('`', '')}`)
    .join('\n')
}

/** Errors are thrown (`exitOverride`), so nothing but help is printed here. */
function outputOf({ stdout, stderr }: Process): OutputConfiguration {
  return {
    writeOut: (text) => void stdout.write(text),
    writeErr: () => undefined,
    getOutHasColors: () => hasColor(stdout),
    getErrHasColors: () => hasColor(stderr),
    getOutHelpWidth: () => (stdout.isTTY ? stdout.columns : 100),
  }
}

function stylesOf({ stdout }: Process) {
  const paint = painter(stdout)
  return { styleTitle: (text: string) => paint('bold', text), styleCommandText: (text: string) => paint('cyan', text) }
}

/** Adds where the help is to a message. Names the nearest command of `connections` if its command is unknown. */
function withHelp(text: string, program: Command, args: readonly string[]): string {
  const path = ['fanfare']
  const message = /[.?]$/.test(text) ? text : `${text}.`
  let { commands }: { commands: readonly CommandUnknownOpts[] } = program
  for (const arg of args) {
    const command = commands.find((child) => child.name() === arg)
    if (command) {
      path.push(arg)
      commands = command.commands
    } else {
      const meant =
        path.length > 1
          ? nearest(
              arg,
              commands.map((child) => child.name()),
            )
          : undefined
      const hint = meant === undefined ? '' : ` Did you mean ${[...path.slice(1), meant].join(' ')}?`
      return `${message}${hint} See ${path.join(' ')} --help.`
    }
  }
  return `${message} See ${path.join(' ')} --help.`
}

/** Makes one sentence of a message such as "error: unknown option '--topc'\n(Did you mean --topic?)". */
function sentenceOf(message: string): string {
  const [fault = '', hint] = message.replace(/^error: /, '').split('\n')
  const sentence = `${fault.charAt(0).toUpperCase()}${fault.slice(1)}`.replace(/\.$/, '')
  const nearest = /\(Did you mean (.*)\?\)/.exec(hint ?? '')?.[1]
  return nearest === undefined ? `${sentence}.` : `${sentence}; did you mean ${nearest}?`
}
